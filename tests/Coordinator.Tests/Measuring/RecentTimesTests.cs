using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Measuring;

/// <summary>The last few lengths of time, for whoever looks.</summary>
public sealed class RecentTimesTests
{
    static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    readonly ManualTimeProvider _clock = new();

    [Fact]
    public void Only_those_of_the_window_count_and_the_shortest_comes_first()
    {
        var times = new RecentTimes(_clock);
        Assert.Empty(times.Of(Minute));
        Assert.Null(times.Latest(Minute));
        times.Add(TimeSpan.FromSeconds(9));
        _clock.Advance(TimeSpan.FromSeconds(50));
        times.Add(TimeSpan.FromSeconds(3));
        times.Add(TimeSpan.FromSeconds(2));
        Assert.Equal([2, 3, 9], times.Of(Minute));
        _clock.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal([2, 3], times.Of(Minute));
        Assert.Equal(TimeSpan.FromSeconds(2), times.Latest(Minute));
        _clock.Advance(Minute);
        Assert.Null(times.Latest(Minute));
    }

    [Fact]
    public void They_are_bounded_and_adding_allocates_nothing()
    {
        var times = new RecentTimes(_clock);
        for (var i = 0; i < 300; i++) times.Add(TimeSpan.FromSeconds(i));
        Assert.Equal(Enumerable.Range(44, 256).Select(second => (double)second), times.Of(Minute));
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++) times.Add(Minute);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 200);   // the test's clock takes its lock as any would
    }
}

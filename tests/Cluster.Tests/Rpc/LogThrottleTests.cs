using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Testing;

namespace LlamaCluster.Cluster.Tests.Rpc;

public sealed class LogThrottleTests
{
    readonly ManualTimeProvider _time = new();
    readonly LogThrottle _throttle;

    public LogThrottleTests() => _throttle = new LogThrottle(_time);

    [Fact]
    public void A_flood_is_cut_off_and_counted()
    {
        var notes = Enumerable.Range(0, 1000).Select(_ => _throttle.TryTake("a", 1, out var note) ? note : null).ToList();
        Assert.Equal(LogThrottle.Most, notes.Count(note => note is not null));
        Assert.All(notes[..(LogThrottle.Most - 1)], note => Assert.Equal("", note));
        Assert.Equal(" (others like it are only counted for up to 10 s)", notes[LogThrottle.Most - 1]);

        _time.Advance(LogThrottle.Period);
        Assert.True(_throttle.TryTake("a", 1, out var after));
        Assert.Equal($" (before it {1000 - LogThrottle.Most} like it were not written)", after);
        Assert.True(_throttle.TryTake("a", 1, out after));
        Assert.Equal("", after);
    }

    [Fact]
    public void Other_kinds_are_not_held_back()
    {
        for (var i = 0; i < 1000; i++) _throttle.TryTake("a", 1, out _);
        Assert.True(_throttle.TryTake("a", 2, out _));
        Assert.True(_throttle.TryTake("b", 1, out _));
    }

    [Fact]
    public void What_comes_slowly_is_all_written()
    {
        for (var i = 0; i < 1000; i++)
        {
            Assert.True(_throttle.TryTake("a", 1, out var note));
            Assert.Equal("", note);
            _time.Advance(TimeSpan.FromSeconds(0.5));
        }
    }
}

using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests;

public sealed class PulseTests : IDisposable
{
    readonly ManualTimeProvider _time = new();
    readonly Pulse _pulse;

    public PulseTests() => _pulse = new Pulse(_time);

    public void Dispose() => _pulse.Dispose();

    [Fact]
    public void A_process_that_runs_is_awake_from_the_start()
    {
        Assert.True(_pulse.AwakeFor > TimeSpan.FromHours(1));
        _time.Advance(TimeSpan.FromMinutes(5));
        Assert.True(_pulse.AwakeFor > TimeSpan.FromHours(1));
    }

    [Fact]
    public void After_a_break_it_has_only_been_awake_since()
    {
        _time.Freeze(TimeSpan.FromSeconds(20));
        Assert.Equal(TimeSpan.Zero, _pulse.AwakeFor);
        _time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(TimeSpan.FromSeconds(3), _pulse.AwakeFor);
    }

    [Fact]
    public void A_short_gap_is_no_break()
    {
        _time.Freeze(Pulse.LongestGap - Pulse.Period);
        Assert.True(_pulse.AwakeFor > TimeSpan.FromHours(1));
    }

    [Fact]
    public void Only_time_in_which_it_was_awake_counts_toward_a_deadline()
    {
        var since = _time.GetTimestamp();
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.FromSeconds(4), _pulse.Left(TimeSpan.FromSeconds(5), since));
        _time.Freeze(TimeSpan.FromSeconds(60));
        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(TimeSpan.FromSeconds(3), _pulse.Left(TimeSpan.FromSeconds(5), since));
    }
}

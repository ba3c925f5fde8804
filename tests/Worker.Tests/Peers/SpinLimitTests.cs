using LlamaCluster.Worker.Peers;

namespace LlamaCluster.Worker.Tests.Peers;

public sealed class SpinLimitTests
{
    readonly SpinLimit _limit = new();

    [Fact]
    public void Who_has_never_waited_looks_for_the_least_time() => Assert.Equal(SpinLimit.Least, _limit.Value);

    [Fact]
    public void Waits_that_a_longer_look_would_have_seen_make_the_looks_longer()
    {
        Wait(TimeSpan.FromMicroseconds(100), 100);
        Assert.InRange(_limit.Value, TimeSpan.FromMicroseconds(390), TimeSpan.FromMicroseconds(400));
        Wait(SpinLimit.Most, 100);
        Assert.Equal(SpinLimit.Most, _limit.Value);
    }

    [Fact]
    public void Waits_that_no_look_would_have_seen_make_the_looks_shorter()
    {
        Wait(SpinLimit.Most, 100);
        Wait(TimeSpan.FromSeconds(1), 100);
        Assert.Equal(SpinLimit.Least, _limit.Value);
    }

    [Fact]
    public void Who_was_interrupted_looks_for_the_least_time_for_a_while()
    {
        Wait(SpinLimit.Most, 100);
        _limit.Waited(TimeSpan.FromMicroseconds(200), interrupted: true);
        Wait(SpinLimit.Most, SpinLimit.Calm);
        Assert.Equal(SpinLimit.Least, _limit.Value);
        Wait(SpinLimit.Most, 100);
        Assert.Equal(SpinLimit.Most, _limit.Value);
    }

    void Wait(TimeSpan waited, int times)
    {
        for (var i = 0; i < times; i++) _limit.Waited(waited, interrupted: false);
    }
}

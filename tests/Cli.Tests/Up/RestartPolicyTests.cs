using LlamaCluster.Cli.Up;

namespace LlamaCluster.Cli.Tests.Up;

public sealed class RestartPolicyTests
{
    [Fact]
    public void Each_pause_is_twice_the_last_and_after_a_few_there_is_none()
    {
        var policy = new RestartPolicy();
        var pauses = Enumerable.Range(0, RestartPolicy.MostRestarts + 2).Select(_ => policy.NextPause(TimeSpan.FromSeconds(1))?.TotalSeconds);
        Assert.Equal([1, 2, 4, 8, 16, null, null], pauses);
    }

    [Fact]
    public void A_long_life_begins_anew()
    {
        var policy = new RestartPolicy();
        policy.NextPause(TimeSpan.Zero);
        policy.NextPause(TimeSpan.Zero);
        Assert.Equal(RestartPolicy.FirstPause, policy.NextPause(RestartPolicy.LongLife));
        Assert.Equal(1, policy.Restarts);
    }
}

using LlamaCluster.Cli.Up;

namespace LlamaCluster.Cli.Tests.Up;

public sealed class RestartPolicyTests
{
    [Fact]
    public void Each_pause_is_twice_the_last_up_to_a_minute_and_after_the_limit_there_is_none()
    {
        var policy = new RestartPolicy(8);
        var pauses = Enumerable.Range(0, 10).Select(_ => policy.NextPause(TimeSpan.FromSeconds(1))?.TotalSeconds);
        Assert.Equal([1, 2, 4, 8, 16, 32, 60, 60, null, null], pauses);
        Assert.Equal("it died soon after its start 9 times in a row (--restart-limit is 8)", policy.Complaint);
    }

    [Fact]
    public void Without_a_limit_to_speak_of_the_pause_stays_a_minute()
    {
        var policy = new RestartPolicy(int.MaxValue);
        TimeSpan?[] pauses = [.. Enumerable.Range(0, 1000).Select(_ => policy.NextPause(TimeSpan.Zero))];
        Assert.All(pauses[10..], pause => Assert.Equal(RestartPolicy.LongestPause, pause));
    }

    [Fact]
    public void A_limit_of_none_ends_at_the_first_death()
        => Assert.Null(new RestartPolicy(0).NextPause(RestartPolicy.LongLife));

    [Fact]
    public void A_long_life_begins_anew()
    {
        var policy = new RestartPolicy(5);
        policy.NextPause(TimeSpan.Zero);
        policy.NextPause(TimeSpan.Zero);
        Assert.Equal(RestartPolicy.FirstPause, policy.NextPause(RestartPolicy.LongLife));
        Assert.Equal(1, policy.Restarts);
    }
}

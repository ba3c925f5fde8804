using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Api.Keys;

/// <summary>What is left of limits, by the clock.</summary>
public sealed class KeyUsageTests
{
    readonly ManualTimeProvider _time = new();

    [Fact]
    public void A_minutes_worth_of_requests_may_come_at_once_and_then_as_much_as_flows_off()
    {
        var (usage, limits) = (new KeyUsage(_time), new KeyLimits(RequestsPerMinute: 3));
        for (var i = 0; i < 3; i++) Assert.Null(Take(usage, limits));
        var reached = Take(usage, limits);
        Assert.False(reached!.OfTokens);
        Assert.Equal(TimeSpan.FromSeconds(20), reached.RetryAfter);
        _time.Advance(reached.RetryAfter - TimeSpan.FromSeconds(1));
        Assert.NotNull(Take(usage, limits));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(Take(usage, limits));
        Assert.NotNull(Take(usage, limits));
        Assert.Equal(new Allowance(3, 0, TimeSpan.FromMinutes(1)), usage.Left(limits).Requests);
    }

    [Fact]
    public void An_answer_that_takes_more_tokens_than_are_left_is_worked_off_by_those_that_follow()
    {
        var (usage, limits) = (new KeyUsage(_time), new KeyLimits(TokensPerMinute: 100));
        Assert.Null(Take(usage, limits, tokens: 250));
        Assert.Equal(new Allowance(100, 0, TimeSpan.FromMinutes(2.5)), usage.Left(limits).Tokens);
        var reached = Take(usage, limits);
        Assert.True(reached!.OfTokens);
        Assert.Equal(TimeSpan.FromMinutes(1.51), reached.RetryAfter);
        _time.Advance(reached.RetryAfter);
        Assert.Null(Take(usage, limits));
    }

    [Fact]
    public void As_many_requests_as_may_are_under_way_at_a_time()
    {
        var (usage, limits) = (new KeyUsage(_time), new KeyLimits(Concurrent: 2));
        Assert.Null(usage.Begin(limits));
        Assert.Null(usage.Begin(limits));
        Assert.Equal("it has 2 requests under way, as many as it may", usage.Begin(limits)!.Reason);
        usage.End(0);
        Assert.Null(usage.Begin(limits));
    }

    [Fact]
    public void What_is_refused_counts_for_nothing()
    {
        var (usage, limits) = (new KeyUsage(_time), new KeyLimits(RequestsPerMinute: 1));
        Assert.Null(Take(usage, limits));
        for (var i = 0; i < 100; i++) Assert.NotNull(Take(usage, limits));
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Null(Take(usage, limits));
    }

    [Fact]
    public async Task Many_at_a_time_get_no_more_than_there_is()
    {
        var (usage, limits) = (new KeyUsage(_time), new KeyLimits(RequestsPerMinute: 50));
        var taken = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => Task.Run(() => Take(usage, limits) is null)));
        Assert.Equal(50, taken.Count(isTaken => isTaken));
    }

    static LimitReached? Take(KeyUsage usage, KeyLimits limits, int tokens = 0)
    {
        var reached = usage.Begin(limits);
        if (reached is null) usage.End(tokens);
        return reached;
    }
}

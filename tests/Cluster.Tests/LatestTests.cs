using LlamaCluster.Testing;

namespace LlamaCluster.Cluster.Tests;

public sealed class LatestTests
{
    [Fact]
    public async Task A_value_that_meets_the_condition_is_given_at_once()
        => Assert.Equal("a", await new Latest<string>("a").WaitAsync(value => value == "a", CancellationToken.None).Soon());

    [Fact]
    public async Task Waiting_ends_with_the_first_value_that_meets_the_condition()
    {
        var latest = new Latest<string>("a");
        var waiting = latest.WaitAsync(value => value.Length > 2, CancellationToken.None);
        latest.Update(value => value + "b");
        Assert.False(waiting.IsCompleted);
        latest.Update(value => value + "c");
        Assert.Equal("abc", await waiting.Soon());
        Assert.Equal("abc", latest.Value);
    }

    [Fact]
    public async Task Changes_by_many_are_none_lost()
    {
        var latest = new Latest<object>(0);
        var all = latest.WaitAsync(value => (int)value == 400, CancellationToken.None);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 100; i++) latest.Update(value => (int)value + 1);
        }))).Soon();
        Assert.Equal(400, await all.Soon());
    }

    [Fact]
    public async Task Waiting_can_be_given_up()
    {
        using var cancelled = new CancellationTokenSource();
        var waiting = new Latest<string>("a").WaitAsync(_ => false, cancelled.Token);
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.Soon());
    }
}

using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Cluster.Tests.Rpc;

public class ReadinessTests
{
    static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    [Fact]
    public async Task WatchAsync_ValuesInTurn_EndsWithNotReadyWhenClosed()
    {
        using var deadline = new CancellationTokenSource(Deadline);
        var readiness = new Readiness();
        await using var values = readiness.WatchAsync(deadline.Token).GetAsyncEnumerator();

        Assert.True(await values.MoveNextAsync());
        Assert.False(values.Current);
        readiness.Set(true);
        Assert.True(await values.MoveNextAsync());
        Assert.True(values.Current);
        readiness.Close();
        Assert.True(await values.MoveNextAsync());
        Assert.False(values.Current);
        Assert.False(await values.MoveNextAsync());
    }

    [Fact]
    public void Set_AfterClose_ChangesNothing()
    {
        var readiness = new Readiness();
        readiness.Close();
        readiness.Set(true);
        Assert.False(readiness.IsReady);
    }
}

using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Cluster.Tests.Rpc;

public class ReadinessTests
{
    [Fact]
    public void Set_IsSeen()
    {
        var readiness = new Readiness();
        Assert.False(readiness.IsReady);
        readiness.Set(true);
        Assert.True(readiness.IsReady);
        readiness.Set(false);
        Assert.False(readiness.IsReady);
    }

    [Fact]
    public void Set_AfterClose_ChangesNothing()
    {
        var readiness = new Readiness();
        readiness.Set(true);
        readiness.Close();
        Assert.False(readiness.IsReady);
        readiness.Set(true);
        Assert.False(readiness.IsReady);
    }
}

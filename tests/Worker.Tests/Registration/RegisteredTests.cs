using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Registration;

namespace LlamaCluster.Worker.Tests.Registration;

public class RegisteredTests
{
    [Fact]
    public void Read_ARightReply_GivesTimes()
    {
        var registered = Registered.Read(new RegisterReply { WorkerId = "w3", HeartbeatIntervalMilliseconds = 1000, HeartbeatTimeoutMilliseconds = 5000 });
        Assert.Equal(("w3", 1.0, 5.0), (registered.Worker.Value, registered.Interval.TotalSeconds, registered.Timeout.TotalSeconds));
    }

    [Theory]
    [InlineData("", 1000, 5000, "worker_id")]
    [InlineData("w3", 0, 5000, "heartbeat_interval")]
    [InlineData("w3", 1000, 1000, "heartbeat_timeout")]
    [InlineData("w3", uint.MaxValue, uint.MaxValue, "heartbeat_interval")]
    public void Read_AWrongReply_NamesTheField(string id, uint interval, uint timeout, string named)
    {
        var reply = new RegisterReply { WorkerId = id, HeartbeatIntervalMilliseconds = interval, HeartbeatTimeoutMilliseconds = timeout };
        Assert.Contains(named, Assert.Throws<InvalidMessageException>(() => Registered.Read(reply)).Message);
    }
}

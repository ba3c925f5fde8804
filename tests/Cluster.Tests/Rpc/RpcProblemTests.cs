using System.Net.Sockets;
using Grpc.Core;
using Grpc.Health.V1;
using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Cluster.Tests.Rpc;

public class RpcProblemTests
{
    [Fact]
    public void Describe_EachKind_IsOneLine()
    {
        Assert.Equal("two lines", RpcProblem.Describe(new RpcException(new Status(StatusCode.Internal, "two\nlines"))));
        Assert.Equal("the call ended with NotFound", RpcProblem.Describe(new RpcException(new Status(StatusCode.NotFound, ""))));
        Assert.Equal("no answer in time", RpcProblem.Describe(new TaskCanceledException()));
        Assert.Equal("disk full", RpcProblem.Describe(new IOException("disk full")));
    }

    [Fact]
    public async Task Describe_NobodyListens_SaysWhatTheSystemSaid()
    {
        using var channel = new PeerChannels().Open(new Uri("http://127.0.0.1:1"));
        var e = await Assert.ThrowsAsync<RpcException>(async () => await new Health.HealthClient(channel).CheckAsync(new HealthCheckRequest()));
        Assert.Equal(new SocketException((int)SocketError.ConnectionRefused).Message, RpcProblem.Describe(e));
    }
}

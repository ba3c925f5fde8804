using Grpc.Core;
using LlamaCluster.Protos;

namespace LlamaCluster.Cluster.Tests.Rpc;

public class StatusInterceptorTests(RpcFixture fixture) : IClassFixture<RpcFixture>
{
    [Theory]
    [InlineData("invalid", StatusCode.InvalidArgument, "name is invalid")]
    [InlineData("bug", StatusCode.Internal, "InvalidOperationException in /llamacluster.v1.Membership/Register: see this process's log")]
    [InlineData("ended early", StatusCode.Internal, "RpcException in /llamacluster.v1.Membership/Register: see this process's log")]
    [InlineData("full", StatusCode.ResourceExhausted, "full")]
    public async Task Call_ThatThrows_GetsTheStatusOfTheException(string name, StatusCode code, string detail)
    {
        var e = await Assert.ThrowsAsync<RpcException>(async () =>
            await fixture.Failing.RegisterAsync(new RegisterRequest { Name = name }, deadline: DateTime.UtcNow.AddSeconds(10)));
        Assert.Equal((code, detail), (e.StatusCode, e.Status.Detail));
    }

    [Fact]
    public async Task Call_WithMoreThanTheBudget_IsRefused()
    {
        var e = await Assert.ThrowsAsync<RpcException>(async () => await fixture.Failing.RegisterAsync(
            new RegisterRequest { Name = new string('x', MessageBudgets.Received) }, deadline: DateTime.UtcNow.AddSeconds(10)));
        Assert.Equal(StatusCode.ResourceExhausted, e.StatusCode);
    }
}

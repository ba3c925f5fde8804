using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Protos.Health;
using static LlamaCluster.Protos.Health.HealthCheckResponse.Types;

namespace LlamaCluster.Cluster.Tests.Rpc;

public class HealthServiceTests(RpcFixture fixture) : IClassFixture<RpcFixture>
{
    readonly Health.HealthClient _client = new(fixture.Channel);

    static DateTime Deadline => DateTime.UtcNow.AddSeconds(10);

    [Fact]
    public async Task Check_TheTwoServices_TellAliveAndReady()
    {
        fixture.Readiness.Set(false);
        Assert.Equal(ServingStatus.Serving, await Check(HealthService.Process));
        Assert.Equal(ServingStatus.NotServing, await Check(HealthService.Ready));
        fixture.Readiness.Set(true);
        Assert.Equal(ServingStatus.Serving, await Check(HealthService.Ready));
    }

    [Fact]
    public async Task Check_AnotherName_IsNotFound()
    {
        var e = await Assert.ThrowsAsync<RpcException>(() => Check("nothing"));
        Assert.Equal(StatusCode.NotFound, e.StatusCode);
    }

    [Fact]
    public async Task Watch_AChange_IsTold()
    {
        fixture.Readiness.Set(false);
        using var call = _client.Watch(new HealthCheckRequest { Service = HealthService.Ready }, deadline: Deadline);
        Assert.True(await call.ResponseStream.MoveNext());
        Assert.Equal(ServingStatus.NotServing, call.ResponseStream.Current.Status);
        fixture.Readiness.Set(true);
        Assert.True(await call.ResponseStream.MoveNext());
        Assert.Equal(ServingStatus.Serving, call.ResponseStream.Current.Status);
    }

    [Fact]
    public async Task Watch_AnotherName_IsServiceUnknown()
    {
        using var call = _client.Watch(new HealthCheckRequest { Service = "nothing" }, deadline: Deadline);
        Assert.True(await call.ResponseStream.MoveNext());
        Assert.Equal(ServingStatus.ServiceUnknown, call.ResponseStream.Current.Status);
    }

    async Task<ServingStatus> Check(string service) => (await _client.CheckAsync(new HealthCheckRequest { Service = service }, deadline: Deadline)).Status;
}

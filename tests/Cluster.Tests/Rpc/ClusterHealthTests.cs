using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Reflection.V1Alpha;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Testing;
using static Grpc.Health.V1.HealthCheckResponse.Types;

namespace LlamaCluster.Cluster.Tests.Rpc;

public class ClusterHealthTests(RpcFixture fixture) : IClassFixture<RpcFixture>
{
    readonly Health.HealthClient _client = new(fixture.Channel);

    static DateTime Deadline => DateTime.UtcNow.AddSeconds(10);

    [Fact]
    public async Task Check_TheTwoServices_TellAliveAndReady()
    {
        fixture.Readiness.Set(false);
        Assert.Equal(ServingStatus.Serving, await Check(ClusterHealth.Process));
        Assert.Equal(ServingStatus.NotServing, await Check(ClusterHealth.Ready));
        fixture.Readiness.Set(true);
        Assert.Equal(ServingStatus.Serving, await Check(ClusterHealth.Ready));
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
        using var call = _client.Watch(new HealthCheckRequest { Service = ClusterHealth.Ready }, deadline: Deadline);
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

    [Fact]
    public async Task Watch_WhenTheProcessStops_EndsAndDelaysNothing()
    {
        var stopping = new RpcFixture();
        await stopping.InitializeAsync();
        using var call = new Health.HealthClient(stopping.Channel).Watch(new HealthCheckRequest { Service = ClusterHealth.Process }, deadline: Deadline);
        Assert.True(await call.ResponseStream.MoveNext());
        var stop = stopping.StopAsync();
        while (await call.ResponseStream.MoveNext())
            Assert.NotEqual(ServingStatus.Unknown, call.ResponseStream.Current.Status);
        await stop.Soon();
        await stopping.DisposeAsync();
    }

    [Fact]
    public async Task Reflection_WhereItIsWanted_NamesTheServices()
    {
        using var call = new ServerReflection.ServerReflectionClient(fixture.Channel).ServerReflectionInfo(deadline: Deadline);
        await call.RequestStream.WriteAsync(new ServerReflectionRequest { ListServices = "" });
        Assert.True(await call.ResponseStream.MoveNext());
        var names = call.ResponseStream.Current.ListServicesResponse.Service.Select(service => service.Name);
        Assert.Contains("grpc.health.v1.Health", names);
        Assert.Contains("llamacluster.v1.Membership", names);
        await call.RequestStream.CompleteAsync();
    }

    async Task<ServingStatus> Check(string service) => (await _client.CheckAsync(new HealthCheckRequest { Service = service }, deadline: Deadline)).Status;
}

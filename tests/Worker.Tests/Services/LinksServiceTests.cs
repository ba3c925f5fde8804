using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Services;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Worker.Tests.Services;

public sealed class LinksServiceTests
{
    [Fact]
    public async Task A_worker_measures_its_way_to_another()
    {
        await using var one = await TestWorker.StartAsync();
        await using var other = await TestWorker.StartAsync();

        var reply = await Client(one).MeasureAsync(To(other, PeerAddress.Format(other.Host.Address)), deadline: Deadline.Call);

        Assert.InRange(reply.RoundTripSeconds, 1e-6, 3);
        Assert.InRange(reply.BytesPerSecond, 1e3, 1e12);
    }

    [Fact]
    public async Task One_that_is_not_there_is_named()
    {
        await using var one = await TestWorker.StartAsync();

        var failure = await Assert.ThrowsAsync<RpcException>(
            () => Client(one).MeasureAsync(To(null, "http://127.0.0.1:1"), deadline: Deadline.Call).ResponseAsync);
        Assert.Equal(StatusCode.Unavailable, failure.StatusCode);
        Assert.Contains("http://127.0.0.1:1", failure.Status.Detail);
    }

    [Fact]
    public async Task What_is_no_address_is_refused()
    {
        await using var one = await TestWorker.StartAsync();

        var failure = await Assert.ThrowsAsync<RpcException>(() => Client(one).MeasureAsync(To(null, "file:///etc"), deadline: Deadline.Call).ResponseAsync);
        Assert.Equal(StatusCode.InvalidArgument, failure.StatusCode);
    }

    [Theory]
    [InlineData(1, MessageBudgets.FramePayload + 1)]
    [InlineData(LinksService.MaxProbes + 1, 0)]
    public async Task Too_much_ends_the_stream(int probes, int bytes)
    {
        await using var one = await TestWorker.StartAsync();
        using var call = Client(one).Echo(deadline: Deadline.Call);

        var failure = await Assert.ThrowsAsync<RpcException>(async () =>
        {
            for (var i = 0; i < probes; i++)
            {
                await call.RequestStream.WriteAsync(new LinkProbe { Payload = ByteString.CopyFrom(new byte[bytes]) });
                await call.ResponseStream.MoveNext(CancellationToken.None);
            }
        });
        Assert.Equal(StatusCode.InvalidArgument, failure.StatusCode);
    }

    static Protos.Links.LinksClient Client(TestWorker worker) => new(worker.Calls);

    static MeasureLinkRequest To(TestWorker? other, string address) => new()
    {
        Address = address,
        Key = (other?.Host.Services.GetRequiredService<ClusterOwner>().Key!.For(PeerKey.LinkMeter) ?? TestKeys.View).ToMessage(),
    };
}

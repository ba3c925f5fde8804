using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Ranks;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.Logging.Abstractions;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Worker.Tests.Ranks;

/// <summary>Rank 0 of two, which is called by the other and calls nobody.</summary>
public sealed class RankGroupTests
{
    [Fact]
    public async Task A_rank_that_does_not_call_in_time_is_named()
    {
        await using var group = Create();
        using var deadline = new CancellationTokenSource();
        var connecting = group.ConnectAsync(deadline.Token);
        await deadline.CancelAsync();

        Assert.Equal("rank 1 (http://127.0.0.1:1) has not called", (await Assert.ThrowsAsync<PeerLinkException>(() => connecting.Soon())).Message);
    }

    [Fact]
    public async Task A_view_that_is_over_waits_for_nobody()
    {
        await using var group = Create();
        var connecting = group.ConnectAsync(CancellationToken.None);
        group.Close("view 5 is over");

        Assert.Equal("view 5 is over", (await Assert.ThrowsAsync<PeerLinkException>(() => connecting.Soon())).Message);
    }

    static RankGroup Create()
    {
        ShardAssignment[] ranks = [.. Enumerable.Range(0, 2).Select(rank =>
            new ShardAssignment(new WorkerId($"w{rank}"), new Uri($"http://127.0.0.1:{rank}"), 0, ShardOf(rank)))];
        var options = new WorkerOptions { Coordinator = new Uri("http://127.0.0.1:1") };
        return new RankGroup(
            new GroupShape(5, new string('a', 64), 0, ShardOf(0), 64, 512, ActivationType.F32) { Key = TestKeys.View }, ranks,
            new RankCaller(new PeerChannels(), options, NullLogger<RankCaller>.Instance));
    }

    static Shard ShardOf(int rank) => new(new LayerRange(0, 3), new TensorSlice(rank, 2));
}

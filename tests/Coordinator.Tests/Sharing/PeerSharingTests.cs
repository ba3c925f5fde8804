using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;
using Client = LlamaCluster.Protos.Weights.WeightsClient;

namespace LlamaCluster.Coordinator.Tests.Sharing;

/// <summary>A coordinator with --weights-from peer. Real workers have no file of the model, as if on other machines, and each a cache of its own.</summary>
public sealed class PeerSharingTests : IDisposable
{
    const int TrailerBytes = 512;   // of an entry of the cache

    readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>And gives the same answers as where all weights come from the coordinator.</summary>
    [Fact]
    public async Task A_worker_that_comes_later_takes_its_layers_from_the_others_and_takes_over_with_them()
    {
        var request = TestCluster.Request([1, 400, 500, 600], maxTokens: 8);
        IReadOnlyList<int> tokens;
        await using (var usual = await StartAsync(2, shares: false)) tokens = await usual.Coordinator.TokensAsync(request);
        await using var cluster = await StartAsync(2);
        using var sums = new MeterSums(cluster.Coordinator);
        var sent = sums["llamacluster.weights.sent"];
        Assert.Equal(tokens, await cluster.Coordinator.TokensAsync(request));

        await cluster.AddAsync();
        var registry = cluster.Coordinator.Host.Services.GetRequiredService<WorkerRegistry>();
        await registry.WaitAsync(now => now.StandingBy.Count == 1, CancellationToken.None).Soon("the spare has its weights");
        Assert.Equal(sent, sums["llamacluster.weights.sent"]);
        Assert.NotEmpty(EntriesOf("real2"));
        Assert.Subset(EntriesOf("real0").Concat(EntriesOf("real1")).ToHashSet(), EntriesOf("real2").ToHashSet());

        var view = cluster.Coordinator.Host.Status.Value.ViewVersion;
        await cluster.StopAsync(0);
        await cluster.Coordinator.ReadyAsync(view);
        Assert.Equal(tokens, await cluster.Coordinator.TokensAsync(request));
        Assert.Equal(sent, sums["llamacluster.weights.sent"]);
    }

    [Theory]
    [InlineData(3, 1)]
    [InlineData(2, 2)]
    public async Task Workers_together_read_each_byte_from_the_coordinator_once(int workers, int ranks)
    {
        await using var cluster = await StartAsync(workers, ranks);
        using var sums = new MeterSums(cluster.Coordinator);
        var all = Enumerable.Range(0, workers).SelectMany(worker => EntriesOf($"real{worker}")).ToList();
        Assert.Equal(all.Distinct().Sum(entry => entry.Bytes), (long)sums["llamacluster.weights.sent"]);
        if (ranks > 1) Assert.True(all.Distinct().Count() < all.Count, "ranks have parts in common");
    }

    [Fact]
    public async Task Where_workers_do_not_share_nobody_is_told_of_others()
    {
        await using var cluster = await TestCluster.StartAsync();
        using var call = new Client(cluster.Channel).Share((await cluster.JoinAsync()).Headers);
        Assert.Equal(StatusCode.FailedPrecondition, (await EndOfAsync(call)).StatusCode);
    }

    [Fact]
    public async Task A_worker_that_says_what_cannot_be_is_refused_and_others_get_what_it_had_claimed()
    {
        await using var cluster = await TestCluster.StartAsync(TestCluster.Options with { SharesWeights = true });
        var client = new Client(cluster.Channel);
        var (first, second) = (await cluster.JoinAsync(), await cluster.JoinAsync());
        var hello = new ShareRequest { ModelDigest = cluster.Host.Model.Digest, Wanted = { new TensorRows { Name = "blk.0.attn_norm.weight", RowCount = 1 } } };
        using var claiming = client.Share(first.Headers);
        await claiming.RequestStream.WriteAsync(hello);
        Assert.True(await claiming.ResponseStream.MoveNext(CancellationToken.None).Soon());
        Assert.Null(Assert.Single(claiming.ResponseStream.Current.Sources).Peer);

        using var waiting = client.Share(second.Headers);
        await waiting.RequestStream.WriteAsync(hello);
        var told = waiting.ResponseStream.MoveNext(CancellationToken.None);
        await claiming.RequestStream.WriteAsync(new ShareRequest { Came = { 7 } });
        Assert.Equal(StatusCode.InvalidArgument, (await EndOfAsync(claiming)).StatusCode);
        Assert.True(await told.Soon("the part is free again"));
        Assert.Null(Assert.Single(waiting.ResponseStream.Current.Sources).Peer);

        using var third = client.Share(first.Headers);
        await third.RequestStream.WriteAsync(hello);
        await waiting.RequestStream.WriteAsync(new ShareRequest { Came = { 0 } });
        Assert.True(await third.ResponseStream.MoveNext(CancellationToken.None).Soon("the part can be had from the second"));
        var peer = Assert.Single(third.ResponseStream.Current.Sources).Peer;
        Assert.Equal((32, second.Id.Value), (peer.Key.Length, peer.WorkerId));
        Assert.False(await waiting.ResponseStream.MoveNext(CancellationToken.None).Soon("who has all is done"));

        using var stranger = client.Share(PeerKey.Create().ToHeaders(first.Id));
        Assert.Equal(StatusCode.Unauthenticated, (await EndOfAsync(stranger)).StatusCode);
        using var other = client.Share(first.Headers);
        var unknown = new TensorRows { Name = "no.such.tensor", RowCount = 1 };
        await other.RequestStream.WriteAsync(new ShareRequest { ModelDigest = cluster.Host.Model.Digest, Here = { unknown } });
        Assert.Equal(StatusCode.InvalidArgument, (await EndOfAsync(other)).StatusCode);
    }

    static async Task<Status> EndOfAsync(AsyncDuplexStreamingCall<ShareRequest, ShareReply> call) =>
        (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None).Soon())).Status;

    Task<RealCluster> StartAsync(int workers, int ranks = 1, bool shares = true)
    {
        var path = _folder.File(Path.GetFileName(TestCluster.Options.ModelPath));
        File.Copy(TestCluster.Options.ModelPath, path);
        return RealCluster.StartAsync(
            workers, TestCluster.Options with { ModelPath = path, SharesWeights = shares, TensorParallel = ranks },
            options => options with { CacheFolder = _folder.File(shares ? options.Name : "usual") }, opened: () => File.Delete(path));
    }

    /// <summary>The parts that a worker has, by their names in its cache, which say what they hash to.</summary>
    IEnumerable<(string Name, long Bytes)> EntriesOf(string worker) =>
        from file in new DirectoryInfo(_folder.File(worker)).EnumerateFiles("*", SearchOption.AllDirectories)
        select (file.Name, file.Length - TrailerBytes);
}

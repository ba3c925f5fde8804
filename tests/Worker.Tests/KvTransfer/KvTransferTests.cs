using System.Buffers.Binary;
using System.IO.Hashing;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.DependencyInjection;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.KvTransfer;

/// <summary>
/// Workers get KV of layers that others had, and go on with the very bits. The demo model, of eight layers: two of four workers have served a prompt of 40
/// tokens, of which two blocks are full.
/// </summary>
public sealed class KvTransferTests : IAsyncLifetime
{
    const int Awaited = 2;

    ServedDemo _demo = null!;

    public async Task InitializeAsync() => _demo = await ServedDemo.StartAsync(4);

    public async Task DisposeAsync() => await _demo.DisposeAsync();

    /// <summary>As when a worker leaves: it is in no plan any more, and gives what it has.</summary>
    [Theory]
    [InlineData(0, Wire.KvType.F32)]
    [InlineData(1, Wire.KvType.F16)]
    [InlineData(1, Wire.KvType.Q80)]
    public async Task Who_takes_a_workers_place_gets_its_KV(int stage, Wire.KvType type)
    {
        var undisturbed = await ServeAsync(type);
        var plan = _demo.Plan(2, stage == 0 ? [(2, 4), (1, 4)] : [(0, 4), (2, 4)]);
        var ready = await AssignAsync(plan, type, from: stage, to: 2);
        Assert.Equal((2UL, 0UL), (ready[stage].Fetched.Blocks, ready[stage].Fetched.Missing));
        Assert.Null(ready[1 - stage].Fetched);
        Assert.Equal(undisturbed, await GoOnAsync(plan));
    }

    /// <summary>Who is asked has a part in the new view itself, and may hear of it before or after the other one.</summary>
    [Fact]
    public async Task Layers_that_move_between_workers_that_stay_bring_their_KV()
    {
        var undisturbed = await ServeAsync(Wire.KvType.F16);
        var plan = _demo.Plan(2, (0, 2), (1, 6));
        var ready = await AssignAsync(plan, Wire.KvType.F16, from: 0, to: 1);
        var kept = Assert.Single(ready[1].Kept.Layers);
        Assert.Equal((2u, 6u, (byte)0b11), (kept.FirstLayer, kept.LayerCount, kept.Whole[0]));
        Assert.Equal(undisturbed, await GoOnAsync(plan));
    }

    [Fact]
    public async Task A_plan_of_more_workers_begins_with_what_fewer_had()
    {
        var undisturbed = await ServeAsync(Wire.KvType.F16);
        var plan = _demo.Plan(2, (0, 3), (1, 3), (2, 2));
        var ready = await AssignAsync(plan, Wire.KvType.F16, sources: [(1, 0, 3, 1), (2, 1, 6, 2)]);
        Assert.All(ready, news => Assert.Equal(0b11, Assert.Single(news.Kept.Layers).Whole[0]));
        Assert.Equal([0UL, 2UL, 2UL], ready.Select(news => news.Fetched?.Blocks ?? 0));
        Assert.Equal(undisturbed, await GoOnAsync(plan));
    }

    /// <summary>Of the same share of the layers, so that sums stay what they were.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task Who_takes_a_ranks_place_gets_its_KV(int rank)
    {
        var undisturbed = await ServeAsync(Wire.KvType.F16, ranks: [2]);
        int[] places = rank == 0 ? [2, 1] : [0, 2];
        var plan = ClusterPlan.Create(2, "test", _demo.Digest, ServedDemo.Layers, [.. places.Select((worker, its) => new ShardAssignment(
            new WorkerId($"w{worker}"), _demo[worker].Host.Address, 0, new Shard(new LayerRange(0, ServedDemo.Layers), new TensorSlice(its, 2))))]);
        var ready = await AssignAsync(plan, Wire.KvType.F16, [(2, rank, 0, ServedDemo.Layers)]);
        Assert.All(ready, news => Assert.Equal(0b11, Assert.Single(news.Kept.Layers).Whole[0]));
        Assert.Equal(2UL, ready[rank].Fetched.Blocks);
        Assert.Equal(undisturbed, await GoOnAsync(plan));
    }

    /// <summary>The worker that was to come died while it loaded. The others are as they were.</summary>
    [Fact]
    public async Task What_was_offered_for_a_view_that_never_ran_is_not_lost()
    {
        var undisturbed = await ServeAsync(Wire.KvType.F16);
        var larger = _demo.Plan(2, (0, 3), (1, 3), (2, 2));
        await Task.WhenAll(Enumerable.Range(0, 2).Select(stage => AssignOneAsync(larger, stage, Wire.KvType.F16, [(1, 0, 3, 1), (2, 1, 6, 2)])));
        var plan = _demo.Plan(3, (0, 4), (3, 4));
        var ready = await AssignAsync(plan, Wire.KvType.F16, sources: [(3, 1, 4, 4)]);
        Assert.Equal([(0u, 4u), (4u, 4u)], ready.Select(news => (news.Kept.Layers[0].FirstLayer, news.Kept.Layers[0].LayerCount)));
        Assert.Equal(undisturbed, await GoOnAsync(plan));
    }

    [Fact]
    public async Task Blocks_that_nobody_waits_for_come_too_and_others_are_missing()
    {
        await ServeAsync(Wire.KvType.F16);
        var plan = _demo.Plan(2, (0, 4), (2, 4));
        var ready = await AssignOneAsync(
            plan, 1, Wire.KvType.F16, [(2, 1, 4, 4)], request => (request.KvBlocksAwaited, request.KvBlocks[0], request.KvBlocks[1]) = (1, 5, 1));
        Assert.Equal((1UL, 1UL), (ready.Fetched.Blocks, ready.Fetched.Missing));
        Assert.Equal(0b10, Assert.Single(ready.Kept.Layers, layers => layers.FirstLayer == 4).Whole[0]);
    }

    public static TheoryData<string, Action<Wire.AssignRequest>> Others => new()
    {
        { "another KV type", request => request.KvType = Wire.KvType.F32 },
        { "rounded activations", request => request.ActivationType = Wire.ActivationType.Bf16 },
        { "nobody there", request => request.KvSources[0].Address = "http://127.0.0.1:1" },
        { "a key that is not the worker's", request => request.KvSources[0].Key = PeerKey.Create().ToMessage() },
        { "no time", request => request.KvFetchMilliseconds = 0 },
        { "no blocks", request => request.KvBlocks.Clear() },
    };

    /// <summary>Then it is computed, as ever.</summary>
    [Theory]
    [MemberData(nameof(Others))]
    public async Task Where_nothing_fits_or_comes_the_worker_serves_without(string what, Action<Wire.AssignRequest> change)
    {
        await ServeAsync(Wire.KvType.F16);
        var ready = await AssignOneAsync(_demo.Plan(2, (0, 4), (2, 4)), 1, Wire.KvType.F16, [(2, 1, 4, 4)], request =>
        {
            request.KvBlocksAwaited = 0;
            change(request);
        });
        Assert.True(ready.Kept is null && ready.Fetched is null or { Blocks: 0 }, what);
    }

    [Theory]
    [InlineData("another hash")]
    [InlineData("too long")]
    [InlineData("too short")]
    [InlineData("not asked for")]
    public async Task What_is_damaged_on_the_way_ends_the_transfer_and_what_came_before_stays(string how)
    {
        await using var service = await LoopbackService.StartAsync(new DamagedSource(how));
        var ready = await AssignOneAsync(
            _demo.Plan(1, (0, 4), (2, 4)), 1, Wire.KvType.F16, [(2, 1, 4, 4)],
            request => request.KvSources[0].Address = PeerAddress.Format(service.Address));
        Assert.Equal((1UL, 1UL), (ready.Fetched.Blocks, ready.Fetched.Missing));
        Assert.Equal(0b01, Assert.Single(ready.Kept.Layers).Whole[0]);
        Assert.Equal((7UL, 3UL), (Assert.Single(ready.Kept.Views).ViewVersion, ready.Kept.Views[0].LastStep));
    }

    /// <summary>Gives a right block, and one that is not.</summary>
    sealed class DamagedSource(string how) : Wire.KvTransfer.KvTransferBase
    {
        public override async Task Fetch(Wire.FetchKvRequest request, IServerStreamWriter<Wire.KvChunk> responses, ServerCallContext context)
        {
            await responses.WriteAsync(new Wire.KvChunk { Views = { new Wire.RanView { ViewVersion = 7, LastStep = 3 } } });
            var bytes = new byte[request.BlockBytes];
            await responses.WriteAsync(ChunkOf(0, bytes));
            if (how == "another hash") await responses.WriteAsync(ChunkOf(1, bytes, damage: 1));
            else if (how == "not asked for") await responses.WriteAsync(ChunkOf(9, bytes));
            else await responses.WriteAsync(ChunkOf(1, how == "too long" ? [.. bytes, 0] : bytes[1..]));
        }

        static Wire.KvChunk ChunkOf(int block, byte[] bytes, byte damage = 0)
        {
            var hash = new byte[16];
            BinaryPrimitives.WriteUInt128LittleEndian(hash, XxHash128.HashToUInt128(bytes));
            hash[3] ^= damage;
            return new Wire.KvChunk { Block = block, Data = ByteString.CopyFrom(bytes), Hash = ByteString.CopyFrom(hash) };
        }
    }

    [Fact]
    public async Task Nothing_is_given_for_a_view_that_is_not_newer()
    {
        await ServeAsync(Wire.KvType.F16);
        var client = new Wire.KvTransfer.KvTransferClient(_demo[1].Calls);
        using var call = client.Fetch(new Wire.FetchKvRequest { ViewVersion = 1, FirstLayer = 4, LayerCount = 4 }, deadline: Deadline.Call);
        var refused = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.Equal((StatusCode.FailedPrecondition, "view 1 is not above 1, the last one accepted here"), (refused.StatusCode, refused.Status.Detail));
    }

    Task<Wire.SampledToken> ServeAsync(Wire.KvType type, int[]? ranks = null) => _demo.ServeAsync(request => request.KvType = type, ranks);

    /// <summary>A sequence begins behind the two blocks, in a view whose workers have them.</summary>
    async Task<Wire.SampledToken> GoOnAsync(ClusterPlan plan)
    {
        await using var pipeline = await TestPipeline.OpenAsync([.. plan.Assignments.Select(part => _demo[NumberOf(part)])], plan);
        var step = pipeline.Step(1, 32, ServedDemo.Prompt[32..]);
        step.NewSequences.Add(new Wire.SequenceFacts { SequenceId = 1, PromptLength = 40, Sampling = TestPipeline.Greedy });
        step.Chunks[0].NewBlocks.Add(Enumerable.Range(0, 8));
        return Assert.Single(Assert.Single((await pipeline.ExecuteAsync(step)).Sequences).Tokens);
    }

    static int NumberOf(ShardAssignment part) => int.Parse(part.Worker.Value[1..]);

    /// <summary>All of a plan, of which one worker gets layers that another one has.</summary>
    Task<Wire.LoadProgress[]> AssignAsync(ClusterPlan plan, Wire.KvType type, int from, int to)
    {
        var had = new LayerRange(4 * from, 4);
        var gets = plan.Assignments.First(part => NumberOf(part) == to).Shard.Layers;
        var first = Math.Max(had.First, gets.First);
        return AssignAsync(plan, type, [(to, from, first, Math.Min(had.End, gets.End) - first)]);
    }

    Task<Wire.LoadProgress[]> AssignAsync(ClusterPlan plan, Wire.KvType type, (int To, int From, int First, int Count)[] sources) =>
        Task.WhenAll(Enumerable.Range(0, plan.Assignments.Count).Select(stage => AssignOneAsync(plan, stage, type, sources)));

    async Task<Wire.LoadProgress> AssignOneAsync(
        ClusterPlan plan, int stage, Wire.KvType type, (int To, int From, int First, int Count)[] sources, Action<Wire.AssignRequest>? change = null)
    {
        var worker = NumberOf(plan.Assignments[stage]);
        return (await TestPipeline.AssignAsync(_demo[worker], plan, stage, ServedDemo.Path, request =>
        {
            request.KvType = type;
            request.KvSources.Add(sources.Where(source => source.To == worker).Select(SourceOf));
            if (request.KvSources.Count > 0) request.KvBlocks.Add(Enumerable.Range(0, Awaited));
            request.KvBlocksAwaited = (uint)request.KvBlocks.Count;
            request.KvFetchMilliseconds = 20_000;
            request.KvIsFetched = sources.Any(source => source.From == worker);
            change?.Invoke(request);
        }))[^1];
    }

    Wire.KvSource SourceOf((int To, int From, int First, int Count) source) => new()
    {
        WorkerId = $"w{source.From}",
        Address = PeerAddress.Format(_demo[source.From].Host.Address),
        Key = _demo[source.From].Host.Services.GetRequiredService<ClusterOwner>().Key!.For(PeerKey.KvTransfer).ToMessage(),
        FirstLayer = (uint)source.First,
        LayerCount = (uint)source.Count,
    };
}

using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Orders;
using LlamaCluster.Worker.Tests.Fakes;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Orders;

public class LoadOrderMappingTests
{
    static readonly string Digest = new('e', ModelIdentity.DigestLength);

    [Fact]
    public void ToOrder_EveryField_IsThere()
    {
        var order = Request().ToOrder();
        Assert.Equal(new StageShape(4, 4, 12), order.Shape);
        Assert.Equal(new Uri("http://127.0.0.1:7002"), Assert.Single(order.Next).Address);
        Assert.Equal(("/models/a.gguf", 12), (order.ModelPath, order.KvBlockCount));
        Assert.Equal((KvType.Q8_0, 512, 4096, Wire.ActivationType.Bf16), (order.KvType, order.MaxStepRows, order.MaxSequenceLength, order.ActivationType));
        Assert.Equal(TimeSpan.FromMinutes(15), order.StepTimeout);
    }

    [Fact]
    public void ToOrder_WhatIsNotSaid_HasItsDefault()
    {
        var request = Request();
        (request.ModelPath, request.KvBlockCount, request.KvType, request.ActivationType, request.WorkerId) = ("", 0, 0, 0, "w2");
        var order = request.ToOrder();
        Assert.Equal((null, null), (order.ModelPath, order.KvBlockCount));
        Assert.Empty(order.Next);
        Assert.Equal((KvType.F16, Wire.ActivationType.F32), (order.KvType, order.ActivationType));
    }

    public static TheoryData<string, Action<Wire.AssignRequest>> Wrong => new()
    {
        { "plan", request => request.Plan = null },
        { "view_version", request => request.Plan.ViewVersion = 0 },
        { "model_digest", request => request.Plan.ModelDigest = "../../x" },
        { "worker_id", request => request.WorkerId = "stranger" },
        { "worker_id", request => request.WorkerId = "" },
        { "model_path", request => request.ModelPath = new string('x', 5000) },
        { "model_path", request => request.ModelPath = "a\0b" },
        { "kv_block_count", request => request.KvBlockCount = uint.MaxValue },
        { "kv_type", request => request.KvType = (Wire.KvType)99 },
        { "max_step_rows", request => request.MaxStepRows = 0 },
        { "max_step_rows", request => request.MaxStepRows = uint.MaxValue },
        { "max_sequence_length", request => request.MaxSequenceLength = 0 },
        { "sum_type", request => request.SumType = (Wire.ActivationType)99 },
        { "view_key", request => request.ViewKey = Google.Protobuf.ByteString.Empty },
        { "step_timeout_milliseconds", request => request.StepTimeoutMilliseconds = uint.MaxValue },
        { "kv_blocks_awaited", request => request.KvBlocksAwaited = 1 },
        { "kv_fetch_milliseconds", request => request.KvFetchMilliseconds = uint.MaxValue },
        { "worker_id of a KV source", request => request.KvSources.Add(new Wire.KvSource { FirstLayer = 4, LayerCount = 1 }) },
        { "first_layer of a KV source", request => request.KvSources.Add(new Wire.KvSource { FirstLayer = 3, LayerCount = 1 }) },
        { "layer_count of a KV source", request => request.KvSources.Add(new Wire.KvSource { FirstLayer = 7, LayerCount = 2 }) },
        { "address of a KV source", request => request.KvSources.Add(new Wire.KvSource { WorkerId = "w9", FirstLayer = 4, LayerCount = 4 }) },
        { "key of a KV source",
            request => request.KvSources.Add(new Wire.KvSource { WorkerId = "w9", Address = "http://h:1", FirstLayer = 4, LayerCount = 4 }) },
        { "activation_type", request => request.ActivationType = (Wire.ActivationType)99 },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void ToOrder_OneFieldWrong_NamesIt(string named, Action<Wire.AssignRequest> change)
    {
        var request = Request();
        change(request);
        Assert.Contains(named, Assert.Throws<InvalidMessageException>(() => request.ToOrder()).Message);
    }

    /// <summary>Rank r of n feeds the ranks r, r + n, r + 2n... of the next stage.</summary>
    [Theory]
    [InlineData(1, 3, "a0: b0 b1 b2")]
    [InlineData(2, 3, "a0: b0 b2; a1: b1")]
    [InlineData(2, 5, "a0: b0 b2 b4; a1: b1 b3")]
    [InlineData(3, 2, "a0: b0; a1: b1; a2:")]
    public void Next_OfEachRank_FeedsEveryRankOfTheNextStageOnce(int first, int second, string expected)
    {
        var port = 7000;
        ShardAssignment[] Ranks(char name, int stage, int count) => [.. Enumerable.Range(0, count).Select(rank => new ShardAssignment(
            new WorkerId($"{name}{rank}"), new Uri($"http://127.0.0.1:{port++}"), stage,
            new Shard(new LayerRange(stage * 6, 6), new TensorSlice(rank, count))))];
        var request = Request();
        request.Plan = ClusterPlan.Create(3, "m", Digest, 12, [.. Ranks('a', 0, first), .. Ranks('b', 1, second)]).ToMessage();
        var fed = Enumerable.Range(0, first).Select(rank =>
        {
            request.WorkerId = $"a{rank}";
            return $"a{rank}: {string.Join(' ', request.ToOrder().Next.Select(next => next.Worker))}".TrimEnd();
        });
        Assert.Equal(expected, string.Join("; ", fed));
    }

    static Wire.AssignRequest Request() => new()
    {
        Plan = ClusterPlan.Create(3, "m", Digest, 12, [.. LayerSplit.Even(12, 3).Select((range, stage) =>
            new ShardAssignment(new WorkerId($"w{stage}"), new Uri($"http://127.0.0.1:700{stage}"), stage, new Shard(range, TensorSlice.Whole)))]).ToMessage(),
        WorkerId = "w1",
        ModelPath = "/models/a.gguf",
        KvBlockCount = 12,
        KvType = Wire.KvType.Q80,
        MaxStepRows = 512,
        MaxSequenceLength = 4096,
        ActivationType = Wire.ActivationType.Bf16,
        StepTimeoutMilliseconds = 900_000,
        Epoch = 5,
        ViewKey = TestKeys.View.ToMessage(),
    };
}

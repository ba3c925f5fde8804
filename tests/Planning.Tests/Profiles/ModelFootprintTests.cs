using System.Globalization;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;

namespace LlamaCluster.Planning.Tests.Profiles;

public sealed class ModelFootprintTests
{
    const string Path = "shape:hidden=64,layers=6,ffn=96,heads=4,vocab=80";

    [Fact]
    public void Layers_that_are_alike_take_the_memory_of_one_and_the_time_of_all()
    {
        var (each, once) = (Of(Path), Of($"{Path};share-layer-weights"));
        var layer = each.Layers[0].Bytes;

        Assert.Equal(WeightBytes(each, 1, 4) - 3 * layer, WeightBytes(once, 1, 4), 1e-6);
        Assert.Equal(WeightBytes(each, 0, 6) - 5 * layer, WeightBytes(once, 0, 6), 1e-6);
        Assert.Equal(each.Bytes, once.Bytes);
    }

    /// <summary>405B: 126 layers of 1.79 GB, an embedding and a head of 1.18 GB.</summary>
    [Theory]
    [InlineData("", 228.31)]
    [InlineData(";share-layer-weights", 7.74)]
    public void What_does_not_fit_is_reckoned_with_what_workers_would_hold(string field, double gigabytes)
    {
        var goal = PlanGoal.Of(PlanObjective.Latency, 16, 1) with { UsesAll = true, RanksPerStage = 1 };
        var problem = new PlanningProblem(
            Of($"shape:llama-3.1-405b;type=q4_0{field}"), Clusters.Alike(3, Clusters.Fast, memory: 1_000_000_000), goal, new Overheads { Resident = 1 });

        var refused = Assert.IsType<PipelineOutcome.Refused>(PipelinePlanner.Plan(problem));

        Assert.StartsWith(
            string.Create(CultureInfo.InvariantCulture, $"the model does not fit: {gigabytes} GB of weights + 0.01 GB of KV cache"),
            refused.Reason);
    }

    [Fact]
    public void A_model_with_experts_knows_its_bytes_and_those_that_a_token_uses()
    {
        var model = Footprints.Of("llama-4-maverick");

        Assert.Equal(225.5, model.Bytes / 1e9, 0.2);
        Assert.Equal(9.2, model.ActiveBytes / 1e9, 0.1);
        Assert.Equal([null, 128, null, 128], model.Layers.Take(4).Select(layer => layer.Experts?.Count));
        Assert.Equal([8192, 8192, 8192, null], model.Layers.Take(4).Select(layer => layer.Window));
        Assert.Equal([0, 1, 3], model.LayerKinds.Distinct());
        Assert.Equal(8192, model.Split.ExpertFfnSize);
        var dense = Footprints.Of("llama-3.1-8b");
        Assert.Equal(dense.Bytes - dense.Embedding.Bytes, dense.ActiveBytes);
    }

    /// <summary>Of 128 experts one row reads one, 64 rows that choose evenly 50.</summary>
    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1.992)]
    [InlineData(64, 50.5)]
    [InlineData(100_000, 128)]
    public void More_rows_use_more_experts(int rows, double expected)
    {
        var experts = Footprints.Of("llama-4-maverick").Layers[1].Experts!;

        Assert.Equal(expected, experts.ShareUsedBy(rows) * 128, 0.02);
        Assert.Equal(rows, experts.RowsOfEach(rows) * expected, 0.01 * rows);
    }

    [Fact]
    public void Of_layers_that_are_alike_a_worker_holds_one_of_each_kind()
    {
        var once = Of("shape:llama-4-maverick;type=q4_0;share-layer-weights");
        var (dense, experts) = (once.Layers[0].Bytes, once.Layers[1].Bytes);

        Assert.Equal(dense + experts, WeightBytes(once, 3, 10), 1);
        Assert.Equal(experts, WeightBytes(once, 1, 1), 1);
        Assert.Equal(9.2, experts / 1e9, 0.1);
    }

    /// <summary>Parameters as in the models' names, and KV of the layers with attention only.</summary>
    [Theory]
    [InlineData("llama-3.3-nemotron-super-49b", 49.9, 49)]
    [InlineData("llama-3.1-nemotron-ultra-253b", 253.4, 64)]
    public void A_Nemotron_is_reckoned_layer_by_layer(string shape, double billions, int attending)
    {
        var model = Footprints.Of(shape, "q8_0");
        Assert.Equal(billions, model.Bytes / (34 / 32.0) / 1e9, 0.1);
        Assert.Equal(attending * (double)model.KvBlockBytes, model.KvBlockBytesOfAll);

        var problem = new PlanningProblem(model, Clusters.Alike(4, Clusters.Fast), PlanGoal.Of(PlanObjective.Latency, 16, 1), new Overheads { Resident = 1 });
        var memory = StageGroup.Of(problem, [0, 1, 2, 3], RankShares.Of(1, 1, 2, 4)) is var group
            ? Enumerable.Range(0, 4).Select(rank => group.MemoryOf(rank, 1, model.LayerCount - 2)).ToArray() : [];
        var norms = model.Layers.Skip(1).SkipLast(1).Sum(layer => layer.NormBytes);
        Assert.Equal(model.Layers.Skip(1).SkipLast(1).Sum(layer => layer.Bytes) + (3 * norms), memory.Sum(rank => rank.Weights), 1e-6 * model.Bytes);
        Assert.Equal(problem.Goal.KvBlocks * model.Layers.Skip(1).SkipLast(1).Sum(model.KvBlockBytesOf), memory.Sum(rank => rank.Kv), 1);
    }

    /// <summary>Of like machines one gets more of the layers that have less.</summary>
    [Fact]
    public void Stages_of_a_Nemotron_weigh_alike()
    {
        var model = Footprints.Of("llama-3.1-nemotron-ultra-253b");
        var goal = PlanGoal.Of(PlanObjective.Throughput, 2048, 16) with { RanksPerStage = 1, UsesAll = true };
        var planned = Assert.IsType<PipelineOutcome.Planned>(
            PipelinePlanner.Plan(new PlanningProblem(model, Clusters.Alike(4, Clusters.Fast), goal, new Overheads())));
        var bytes = planned.Pipeline.Stages.Select(stage => model.Layers.Skip(stage.Layers.First).Take(stage.Layers.Count).Sum(layer => layer.Bytes)).ToArray();
        Assert.InRange(bytes.Max() / bytes.Min(), 1, 1.35);
        Assert.True(planned.Pipeline.Stages.Max(stage => stage.Layers.Count) >= planned.Pipeline.Stages.Min(stage => stage.Layers.Count) + 10);
    }

    [Fact]
    public void Parts_are_summed_by_type_and_like_layers_are_one_kind()
    {
        var model = Footprints.Of("llama-3.1-8b", "q4_k_m");
        Assert.Equal(["Q4_K", "Q6_K"], model.Layers[0].FeedForward.Select(weights => weights.Type));
        Assert.Equal(["Q4_K"], model.Layers[4].FeedForward.Select(weights => weights.Type));
        Assert.Equal([0, 4], model.LayerKinds.Distinct());
        Assert.Equal(2 * 8 * 128 * 16 * 2, model.KvBlockBytes);
        Assert.Equal(256, model.Split.ColumnBlock);
    }

    /// <summary>What a worker allocates, for heads of usual sizes.</summary>
    [Theory]
    [InlineData(KvType.F32, Kernels.Attention.KvType.F32)]
    [InlineData(KvType.F16, Kernels.Attention.KvType.F16)]
    [InlineData(KvType.Q80, Kernels.Attention.KvType.Q8_0)]
    [InlineData(KvType.Q40, Kernels.Attention.KvType.Q4_0)]
    public void The_KV_type_decides_the_bytes_of_a_block(KvType type, Kernels.Attention.KvType kept)
    {
        foreach (var preset in ModelShape.PresetNames)
        {
            var config = ModelShape.Parse(preset).Config;
            var footprint = ModelFootprints.Of(preset, config, TensorMix.TensorsOf(config, "q4_0")!, type);
            Assert.Equal(StageMemory.KvBytesPerBlock(config, StageShape.Whole(1), kept), footprint.KvBlockBytes);
        }
    }

    /// <summary>As workers divide them: what other tensors are stored in does not matter to these.</summary>
    [Fact]
    public void Only_the_feed_forwards_blocks_bound_its_division()
    {
        var config = ModelShape.Parse("hidden=256,layers=2,ffn=512,heads=8,vocab=512").Config;
        TensorInfo[] tensors =
            [.. TensorMix.TensorsOf(config, "q4_0")!.Select(tensor => tensor.Name == LlamaTensors.Output ? tensor with { Type = TensorType.Q6_K } : tensor)];
        Assert.Equal(32, ModelFootprints.Of("mixed", config, tensors, KvType.F16).Split.ColumnBlock);
    }

    static double WeightBytes(ModelFootprint model, int first, int count)
    {
        var problem = new PlanningProblem(model, Clusters.Alike(1, Clusters.Fast), PlanGoal.Of(PlanObjective.Latency, 16, 1), new Overheads { Resident = 1 });
        return StageGroup.Of(problem, [0], RankShares.Whole).MemoryOf(0, first, count).Weights;
    }

    static ModelFootprint Of(string path)
    {
        using var weights = ModelFiles.Open(path);
        return ModelFootprints.Of(weights, KvType.F16);
    }
}

using Grpc.Core;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Weights;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Testing.Models;
using LlamaCluster.Worker.Orders;
using LlamaCluster.Worker.Tests.Fakes;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Orders;

public sealed class RankSlicingTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    [InlineData(7)]
    public void SliceOf_EveryRank_IsASliceOfTheModelAndTogetherTheyAreAll(int ranks)
    {
        using var weights = new RandomWeights(ModelShape.Parse("hidden=512,layers=2,ffn=1536,heads=8,kv-heads=4,vocab=500"), TensorType.Q4_K);
        var shares = RankShares.Of([.. Enumerable.Range(1, ranks)]);

        var slices = Enumerable.Range(0, ranks).Select(rank => Order(new TensorSlice(rank, shares)).SliceOf(weights.Config, weights.Tensors)).ToArray();

        Assert.All(slices.Index(), slice => Assert.Equal((slice.Index, ranks), (slice.Item.Rank, slice.Item.RankCount)));
        Assert.All(slices, slice => Assert.Null(slice.FirstProblem(weights.Config)));
        var layers = slices.Select(slice => slice.Of(weights.Config, 1)).ToArray();
        Assert.Equal((8, 1536, 500), (layers.Sum(s => s.Heads.Count), layers.Sum(s => s.Ffn.Count), slices.Sum(s => s.Vocabulary.Count)));
        Assert.All(layers, layer => Assert.Equal(0, layer.Ffn.First % (ranks > 6 ? 32 : 256)));
    }

    /// <summary>What the shares of a plan come to in the end: one worker's numbers, but for the order of sums. Eight ranks share four KV heads.</summary>
    [Theory]
    [InlineData(TensorType.F32, 1e-4, 3, 1)]
    [InlineData(TensorType.F32, 1e-4, 1, 2, 3, 4, 5)]
    [InlineData(TensorType.F32, 1e-4, 1, 1, 1, 1, 1, 1, 1, 1)]
    [InlineData(TensorType.Q4_K, 0.05, 1, 5)]
    [InlineData(TensorType.Q4_K, 0.05, 1, 2, 3, 1, 2, 3, 1)]
    [InlineData(TensorType.Q8_0, 0.05, 2, 1, 1, 1, 1, 1)]
    public void SliceOf_AnyShares_ComputeWhatOneWorkerComputes(TensorType type, double tolerance, params int[] shares)
    {
        using var weights = new RandomWeights(ModelShape.Parse("hidden=256,layers=2,ffn=768,heads=8,kv-heads=4,vocab=500"), type);
        var options = new LocalGeneratorOptions { Threads = 1, KvType = KvType.F32, ContextLength = 48 };
        StageSlice[] slices = [.. shares.Select((_, rank) => Order(new TensorSlice(rank, RankShares.Of(shares))).SliceOf(weights.Config, weights.Tensors))];
        using var one = new LocalGenerator(weights, options);
        using var ranks = new LocalGenerator(weights, options with { Plan = [new LocalStagePlan(StageShape.Whole(2), slices)] });
        int[] tokens = [.. Enumerable.Range(0, 40).Select(i => i * 37 % 500)];

        var (expected, actual) = (one.Score(tokens), ranks.Score(tokens));

        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First.Logprob, pair.Second.Logprob, tolerance));
    }

    /// <summary>The same of experts, by columns and whole.</summary>
    [Theory]
    [InlineData(false, 2, 1)]
    [InlineData(true, 2, 1)]
    [InlineData(true, 1, 1, 1, 1)]
    public void SliceOf_Experts_ComputeWhatOneWorkerComputes(bool whole, params int[] shares)
    {
        using var weights = new RandomWeights(ModelShape.Parse("hidden=128,layers=2,ffn=96,heads=8,kv-heads=4,vocab=500,experts=6"), TensorType.F32);
        var options = new LocalGeneratorOptions { Threads = 1, KvType = KvType.F32, ContextLength = 48 };
        var order = RankShares.Of(shares).WithExperts(whole);
        StageSlice[] slices = [.. shares.Select((_, rank) => Order(new TensorSlice(rank, order)).SliceOf(weights.Config, weights.Tensors))];
        Assert.All(slices, slice => Assert.Null(slice.FirstProblem(weights.Config)));
        Assert.Equal(whole ? 6 : 6 * shares.Length, slices.Sum(slice => slice.Experts.Count));
        // What ranks read of experts is all of them, once.
        var experts = slices.SelectMany(slice => new ShardParts(weights.Config, StageShape.Whole(2), slice).Of(weights.Tensors))
            .Where(part => part.Tensor.Name.Contains(".ffn_up."));
        Assert.Equal(2 * 6 * 96, experts.Sum(part => part.RowCount));
        using var one = new LocalGenerator(weights, options);
        using var ranks = new LocalGenerator(weights, options with { Plan = [new LocalStagePlan(StageShape.Whole(2), slices)] });
        int[] tokens = [.. Enumerable.Range(0, 40).Select(i => i * 37 % 500)];

        var (expected, actual) = (one.Score(tokens), ranks.Score(tokens));

        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First.Logprob, pair.Second.Logprob, 1e-4));
    }

    [Fact]
    public void SliceOf_LayersThatDiffer_EachIsSharedByItsOwnSizes()
    {
        var config = SyntheticModel.Small.Config with { Sizes = new SizesOfLayers([new(4, 2, 96), new(4, 0, 64), new(0, 0, 0)]) };
        using var weights = (SyntheticModel.Small with { Config = config }).Weights();
        var slices = Enumerable.Range(0, 2).Select(rank => Order(new TensorSlice(rank, 2), layers: 3).SliceOf(config, weights.Tensors)).ToArray();

        Assert.All(slices, slice => Assert.Null(slice.FirstProblem(config)));
        Assert.Equal([new(0, 2), new(2, 2)], slices.Select(slice => slice.Of(config, 0).Heads));
        Assert.Equal([new(0, 32), new(32, 32)], slices.Select(slice => slice.Of(config, 1).Linear));
        Assert.Equal([new(0, 32), new(32, 32)], slices.Select(slice => slice.Of(config, 1).Ffn));
        Assert.All(slices, slice => Assert.Equal(new LayerSlice(), slice.Of(config, 2)));
    }

    [Fact]
    public void SliceOf_OneRank_IsTheWhole()
    {
        using var weights = new RandomWeights(ModelShape.Parse("hidden=512,layers=2,ffn=1536,heads=8,kv-heads=4,vocab=500"), TensorType.Q4_K);
        Assert.Equivalent(StageSlice.Whole(weights.Config), Order(TensorSlice.Whole).SliceOf(weights.Config, weights.Tensors));
    }

    [Fact]
    public void SliceOf_MoreRanksThanHeads_IsRefusedInOneLine()
    {
        using var weights = new RandomWeights(ModelShape.Parse("hidden=512,layers=2,ffn=1536,heads=8,kv-heads=4,vocab=500"), TensorType.Q4_K);
        var e = Assert.Throws<RpcException>(() => Order(new TensorSlice(3, 9)).SliceOf(weights.Config, weights.Tensors));
        Assert.Equal((StatusCode.FailedPrecondition, "stage 0: 9 ranks cannot share 8 query heads"), (e.StatusCode, e.Status.Detail));
    }

    static LoadOrder Order(TensorSlice slice, int layers = 2)
    {
        ShardAssignment[] assignments = [.. Enumerable.Range(0, slice.RankCount).Select(rank => new ShardAssignment(
            new WorkerId($"w{rank}"), new Uri($"http://127.0.0.1:{7000 + rank}"), 0, new Shard(new LayerRange(0, layers), slice with { Rank = rank })))];
        var plan = ClusterPlan.Create(1, "random", new string('a', 64), layers, assignments);
        return new LoadOrder(plan, assignments[slice.Rank], null, null, KvType.F16, 8, 64, Wire.ActivationType.F32, Wire.ActivationType.F32)
        {
            ViewKey = TestKeys.View,
        };
    }
}

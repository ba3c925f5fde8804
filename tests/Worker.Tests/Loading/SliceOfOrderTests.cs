using Grpc.Core;
using LlamaCluster.Cluster.Plans;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Model.Inference;
using LlamaCluster.Worker.Loading;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Loading;

public sealed class SliceOfOrderTests
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
        Assert.Equal((8, 1536, 500), (slices.Sum(s => s.Heads.Count), slices.Sum(s => s.Ffn.Count), slices.Sum(s => s.Vocabulary.Count)));
        Assert.All(slices, slice => Assert.Equal(0, slice.Ffn.First % (ranks > 6 ? 32 : 256)));
    }

    [Fact]
    public void SliceOf_OneRank_IsTheWhole()
    {
        using var weights = new RandomWeights(ModelShape.Parse("hidden=512,layers=2,ffn=1536,heads=8,kv-heads=4,vocab=500"), TensorType.Q4_K);
        Assert.Equal(StageSlice.Whole(weights.Config), Order(TensorSlice.Whole).SliceOf(weights.Config, weights.Tensors));
    }

    [Fact]
    public void SliceOf_MoreRanksThanHeads_IsRefusedInOneLine()
    {
        using var weights = new RandomWeights(ModelShape.Parse("hidden=512,layers=2,ffn=1536,heads=8,kv-heads=4,vocab=500"), TensorType.Q4_K);
        var e = Assert.Throws<RpcException>(() => Order(new TensorSlice(3, 9)).SliceOf(weights.Config, weights.Tensors));
        Assert.Equal((StatusCode.FailedPrecondition, "stage 0: 9 ranks cannot share 8 query heads"), (e.StatusCode, e.Status.Detail));
    }

    static LoadOrder Order(TensorSlice slice)
    {
        ShardAssignment[] assignments = [.. Enumerable.Range(0, slice.RankCount).Select(rank => new ShardAssignment(
            new WorkerId($"w{rank}"), new Uri($"http://127.0.0.1:{7000 + rank}"), 0, new Shard(new LayerRange(0, 2), slice with { Rank = rank })))];
        var plan = ClusterPlan.Create(1, "random", new string('a', 64), 2, assignments);
        return new LoadOrder(plan, assignments[slice.Rank], null, null, null, KvType.F16, 8, 64, Wire.ActivationType.F32, Wire.ActivationType.F32);
    }
}

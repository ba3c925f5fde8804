using Grpc.Core;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;

namespace LlamaCluster.Worker.Orders;

/// <summary>Turns the shares of a plan into a rank's exact slice of the model at hand.</summary>
static class RankSlicing
{
    /// <param name="tensors">Those of the stage's layers, at least.</param>
    /// <exception cref="RpcException">FAILED_PRECONDITION: the model cannot be split so. The status says why.</exception>
    public static StageSlice SliceOf(this LoadOrder order, LlamaConfig config, IReadOnlyList<TensorInfo> tensors)
    {
        var (rank, shares) = order.Assignment.Shard.Slice;
        if (shares.Count == 1) return StageSlice.Whole(config);
        var block = ColumnBlock(config, order.Shape, tensors);
        var splits = config.SizesIn(order.Shape.FirstLayer, order.Shape.LayerCount).ToDictionary(
            sizes => sizes,
            sizes => TensorSplit.TryCreate(Sizes(config, sizes, block), shares, out var split, out var problem)
                ? split
                : throw new RpcException(new Status(StatusCode.FailedPrecondition, $"stage {order.Assignment.Stage}: {problem}")));
        var any = splits.Values.First();   // experts and vocabulary are the same in all
        return new StageSlice
        {
            Rank = rank,
            RankCount = shares.Count,
            Layers = splits.ToDictionary(entry => entry.Key, entry => SliceOf(entry.Value, rank)),
            Experts = any[rank].Experts,
            ExpertFfn = any[rank].ExpertFfn,
            ExpertFfnUnit = any.ExpertFfnUnit,
            SharedExpertFfn = any[rank].SharedExpertFfn,
            SharedExpertFfnUnit = any.SharedExpertFfnUnit,
            Vocabulary = any[rank].Vocabulary,
        };
    }

    static LayerSlice SliceOf(TensorSplit split, int rank) => new()
    {
        Heads = split[rank].Heads,
        KvHeads = split[rank].KvHeads,
        Linear = split[rank].Linear,
        Ffn = split[rank].Ffn,
        HeadUnit = split.HeadUnit,
        LinearUnit = split.LinearUnit,
        FfnUnit = split.FfnUnit,
    };

    /// <summary>
    /// All ranks must come to the same slices, wherever each has its weights from. So this uses only what every rank of the stage knows.
    /// </summary>
    static SplitSizes Sizes(LlamaConfig config, LayerSizes sizes, int columnBlock) => new()
    {
        HeadCount = sizes.HasAttention ? sizes.HeadCount : 0,
        KvHeadCount = sizes.KvHeadCount,
        LinearSize = sizes.IsLinear ? config.HiddenSize : 0,
        FfnSize = sizes.FfnSize,
        ExpertFfnSize = config.Experts?.FfnSize ?? 0,
        ExpertCount = config.Experts?.Count ?? 0,
        HasSharedExpert = config.Experts?.HasShared ?? false,
        VocabularySize = config.VocabularySize,
        ColumnBlock = columnBlock,
    };

    static int ColumnBlock(LlamaConfig config, StageShape shape, IReadOnlyList<TensorInfo> tensors) => Enumerable.Range(shape.FirstLayer, shape.LayerCount)
        .Max(layer => LlamaTensors.DownOf(config, layer) is { } down ? tensors.FirstOrDefault(tensor => tensor.Name == down)?.Type.BlockSize() ?? 1 : 1);
}

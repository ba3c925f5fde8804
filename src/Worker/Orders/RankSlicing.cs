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
        if (!TensorSplit.TryCreate(Sizes(config, order.Shape, tensors), shares, out var split, out var problem))
            throw new RpcException(new Status(StatusCode.FailedPrecondition, $"stage {order.Assignment.Stage}: {problem}"));
        var slice = split[rank];
        return new StageSlice
        {
            Rank = rank,
            RankCount = shares.Count,
            Heads = ToRange(slice.Heads),
            KvHeads = ToRange(slice.KvHeads),
            Ffn = ToRange(slice.Ffn),
            HeadUnit = split.HeadUnit,
            FfnUnit = split.FfnUnit,
            ExpertFfn = slice.ExpertFfn,
            ExpertFfnUnit = split.ExpertFfnUnit,
            Vocabulary = ToRange(slice.Vocabulary),
        };
    }

    /// <summary>
    /// All ranks must come to the same slices, wherever each has its weights from. So this uses only what every rank of the stage knows.
    /// </summary>
    static SplitSizes Sizes(LlamaConfig config, StageShape shape, IReadOnlyList<TensorInfo> tensors) => new()
    {
        HeadCount = config.HeadCount,
        KvHeadCount = config.KvHeadCount,
        FfnSize = config.FfnSize,
        ExpertFfnSize = config.Experts?.FfnSize ?? 0,
        VocabularySize = config.VocabularySize,
        ColumnBlock = Enumerable.Range(shape.FirstLayer, shape.LayerCount)
            .Select(layer => tensors.FirstOrDefault(tensor => tensor.Name == LlamaTensors.DownOf(config, layer))?.Type.BlockSize() ?? 1)
            .Max(),
    };

    static IndexRange ToRange(IndexRange range) => new(range.First, range.Count);
}

using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;

namespace LlamaCluster.Cli.Bench;

/// <summary>How many bytes of stored weights a bench loads, and how many it reads for a step.</summary>
static class BenchWeightBytes
{
    /// <summary>Held in memory by one process that runs all layers.</summary>
    public static long Loaded(IModelWeights weights) =>
        TensorsOf(weights).Where(tensor => !weights.LayersAreAlike || !IsOfLayer(tensor) || tensor.Name.StartsWith("blk.0.", StringComparison.Ordinal)).Sum(tensor => tensor.Bytes);

    /// <summary>Read for a step: of an embedding that is not the head too, only a row for each token.</summary>
    public static long PerStep(IModelWeights weights) => TensorsOf(weights)
        .Where(tensor => weights.Config.TiedEmbeddings || tensor.Name != LlamaTensors.Embedding)
        .Sum(tensor => tensor.Bytes);

    static bool IsOfLayer(TensorInfo tensor) => tensor.Name.StartsWith("blk.", StringComparison.Ordinal);

    static IReadOnlyList<TensorInfo> TensorsOf(IModelWeights weights) =>
        ShardWeights.TensorsOf(weights.Tensors, StageShape.Whole(weights.Config.LayerCount), weights.Config);
}

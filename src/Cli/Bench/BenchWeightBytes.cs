using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Weights;

namespace LlamaCluster.Cli.Bench;

/// <summary>How many bytes of stored weights a bench loads, and how many it reads for a step.</summary>
static class BenchWeightBytes
{
    /// <summary>Held in memory by one process that runs all layers.</summary>
    public static long Loaded(IModelWeights weights) =>
        ShardParts.Held(weights, Whole(weights), StageSlice.Whole(weights.Config)).Of(weights.Tensors).Sum(part => part.Bytes);

    /// <summary>Read for a step by all stages together.</summary>
    public static long PerStep(IModelWeights weights) => PerStep(weights, Whole(weights));

    /// <summary>Read for a step by a stage: of an embedding that is not its head too, only a row for each token.</summary>
    public static long PerStep(IModelWeights weights, StageShape shape) => TensorsOf(weights, shape)
        .Where(tensor => tensor.Name != LlamaTensors.Embedding || (weights.Config.TiedEmbeddings && shape.HasHead))
        .Sum(tensor => tensor.Bytes);

    /// <summary>Of these, those of layers.</summary>
    public static long OfLayers(IModelWeights weights, StageShape shape) => Enumerable.Range(shape.FirstLayer, shape.LayerCount)
        .SelectMany(layer => LlamaTensors.OfLayer(weights.Config, layer))
        .Sum(tensor => weights.Find(tensor.Name)!.Bytes);

    static StageShape Whole(IModelWeights weights) => StageShape.Whole(weights.Config.LayerCount);

    static IReadOnlyList<TensorInfo> TensorsOf(IModelWeights weights, StageShape shape) => ShardWeights.TensorsOf(weights.Tensors, shape, weights.Config);
}

using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>Computes what planning needs to know of a model from the model's config and tensor table.</summary>
public static class ModelFootprints
{
    public static ModelFootprint Of(IModelWeights weights, KvType kvType) =>
        Of(weights.Name, weights.Config, weights.Tensors, kvType) with { LayersAreAlike = weights.LayersAreAlike };

    /// <param name="tensors">All tensors that the config asks for.</param>
    public static ModelFootprint Of(string name, LlamaConfig config, IReadOnlyList<TensorInfo> tensors, KvType kvType)
    {
        var byName = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        var layers = Enumerable.Range(0, config.LayerCount).Select(layer => LayerOf(config, layer, byName));
        var head = byName[config.TiedEmbeddings ? LlamaTensors.Embedding : LlamaTensors.Output];
        var kvValues = 2L * config.KvHeadCount * config.HeadSize * KvBlock.Positions;
        return new ModelFootprint(
            name, SplitOf(config, byName), [.. layers], WeightsOf(byName[LlamaTensors.Embedding]), WeightsOf(head), KvBytes(kvType, kvValues))
        {
            HiddenSize = config.HiddenSize,
            ContextLength = config.ContextLength,
            TiedEmbeddings = config.TiedEmbeddings,
        };
    }

    static SplitSizes SplitOf(LlamaConfig config, Dictionary<string, TensorInfo> tensors) => new()
    {
        HeadCount = config.HeadCount,
        KvHeadCount = config.KvHeadCount,
        FfnSize = config.FfnSize,
        VocabularySize = config.VocabularySize,
        ColumnBlock = Enumerable.Range(0, config.LayerCount).Max(layer => tensors[LlamaTensors.OfLayer(layer, LlamaTensors.Down)].ColumnBlock),
    };

    static LayerFootprint LayerOf(LlamaConfig config, int layer, Dictionary<string, TensorInfo> tensors)
    {
        TensorInfo[] all = [.. LlamaTensors.OfLayer(config, layer).Select(shape => tensors[shape.Name])];
        var matrices = all.Where(tensor => tensor.Rows > 1).ToLookup(tensor => tensor.Name.Contains(".ffn_", StringComparison.Ordinal));
        return new LayerFootprint(Sum(matrices[false]), Sum(matrices[true]), all.Where(tensor => tensor.Rows == 1).Sum(tensor => tensor.Bytes));
    }

    static TypedWeights[] Sum(IEnumerable<TensorInfo> matrices) =>
    [
        .. matrices.GroupBy(tensor => tensor.Type).OrderBy(group => group.Key)
            .Select(group => new TypedWeights(
                group.Key.ToString(), group.Sum(tensor => (double)tensor.Rows * tensor.Columns), group.Sum(tensor => tensor.Bytes))),
    ];

    static TypedWeights WeightsOf(TensorInfo tensor) => new(tensor.Type.ToString(), (double)tensor.Rows * tensor.Columns, tensor.Bytes);

    /// <param name="values">The number of keys and values together.</param>
    static long KvBytes(KvType type, long values) => type switch
    {
        KvType.F32 => values * 4,
        KvType.F16 => values * 2,
        KvType.Q80 => values / 32 * 34,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a KV type"),
    };
}

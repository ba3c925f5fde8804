using LlamaCluster.Cluster.Plans;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Planning;

/// <summary>What a model's parts weigh; all that planning needs to know of it.</summary>
/// <param name="Embedding">On the first stage; only the rows of a step's tokens are read.</param>
/// <param name="Head">On the last stage: the output matrix (the embedding again, if tied).</param>
/// <param name="KvBlockBytes">Of one KV block (16 positions) in one layer, all KV heads.</param>
/// <param name="ColumnBlock">Feed-forward columns that are stored together; see <see cref="SplitSizes"/>.</param>
public sealed record ModelFootprint(
    string Name, LlamaConfig Config, IReadOnlyList<LayerFootprint> Layers, TypedWeights Embedding, TypedWeights Head, long KvBlockBytes,
    int ColumnBlock)
{
    /// <summary>A worker holds the weights of one layer only, however many it runs; see <see cref="IModelWeights.LayersAreAlike"/>.</summary>
    public bool LayersAreAlike { get; init; }

    public int LayerCount => Layers.Count;

    /// <summary>For each layer, the first one that weighs the same.</summary>
    public IReadOnlyList<int> LayerKinds { get; } = KindsOf(Layers);

    /// <summary>Bytes of keys and values of one position in one layer.</summary>
    public double KvPositionBytes => (double)KvBlockBytes / KvBlockPool.BlockSize;

    /// <summary>What a tensor group divides.</summary>
    public SplitSizes SplitSizes => new()
    {
        HeadCount = Config.HeadCount,
        KvHeadCount = Config.KvHeadCount,
        FfnSize = Config.FfnSize,
        VocabularySize = Config.VocabularySize,
        ColumnBlock = ColumnBlock,
    };

    public double Bytes => Layers.Sum(layer => layer.Bytes) + Embedding.Bytes + (Config.TiedEmbeddings ? 0 : Head.Bytes);

    public static ModelFootprint Of(IModelWeights weights, KvType kvType) =>
        Of(weights.Name, weights.Config, weights.Tensors, kvType) with { LayersAreAlike = weights.LayersAreAlike };

    /// <param name="tensors">All that the config asks for.</param>
    public static ModelFootprint Of(string name, LlamaConfig config, IReadOnlyList<TensorInfo> tensors, KvType kvType)
    {
        var byName = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        var layers = Enumerable.Range(0, config.LayerCount).Select(layer => LayerOf(config, layer, byName));
        var head = byName[config.TiedEmbeddings ? LlamaTensors.Embedding : LlamaTensors.Output];
        var kvValues = 2L * config.KvHeadCount * config.HeadSize * KvBlockPool.BlockSize;
        return new ModelFootprint(
            name, config, [.. layers], WeightsOf(byName[LlamaTensors.Embedding]), WeightsOf(head), KvBytes(kvType, kvValues),
            Enumerable.Range(0, config.LayerCount).Max(layer => byName[LlamaTensors.OfLayer(layer, LlamaTensors.Down)].ColumnBlock));
    }

    static int[] KindsOf(IReadOnlyList<LayerFootprint> layers)
    {
        List<int> firsts = [];
        return [.. layers.Select((layer, index) =>
        {
            var known = firsts.FindIndex(first => layers[first].IsLike(layer));
            if (known < 0) firsts.Add(index);
            return known < 0 ? index : firsts[known];
        })];
    }

    static LayerFootprint LayerOf(LlamaConfig config, int layer, Dictionary<string, TensorInfo> tensors)
    {
        TensorInfo[] all = [.. LlamaTensors.OfLayer(config, layer).Select(shape => tensors[shape.Name])];
        var matrices = all.Where(tensor => tensor.Rows > 1).ToLookup(tensor => tensor.Name.Contains(".ffn_", StringComparison.Ordinal));
        return new LayerFootprint(Sum(matrices[false]), Sum(matrices[true]), all.Where(tensor => tensor.Rows == 1).Sum(tensor => tensor.Bytes));
    }

    static TypedWeights[] Sum(IEnumerable<TensorInfo> matrices) =>
    [
        .. matrices.GroupBy(tensor => tensor.Type).OrderBy(group => group.Key)
            .Select(group => new TypedWeights(group.Key.ToString(), group.Sum(tensor => (double)tensor.Rows * tensor.Columns), group.Sum(tensor => tensor.Bytes))),
    ];

    static TypedWeights WeightsOf(TensorInfo tensor) => new(tensor.Type.ToString(), (double)tensor.Rows * tensor.Columns, tensor.Bytes);

    /// <param name="values">Keys and values.</param>
    static long KvBytes(KvType type, long values) => type switch
    {
        KvType.F32 => values * 4,
        KvType.F16 => values * 2,
        KvType.Q80 => values / 32 * 34,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a KV type"),
    };
}

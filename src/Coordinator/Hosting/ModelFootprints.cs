using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Quantization;
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

    /// <summary>The model as it would be if its matrices had other types.</summary>
    /// <param name="mix">One of <see cref="TensorMix.Names"/>.</param>
    /// <exception cref="ModelFormatException">There is no such mix, or a matrix of the model cannot be of its type.</exception>
    public static ModelFootprint OfMix(IModelWeights weights, string mix, KvType kvType)
    {
        var tensors = TensorMix.TensorsOf(weights.Config, mix)
            ?? throw new ModelFormatException($"'{mix}' is no type of matrices; there are {string.Join(", ", TensorMix.Names)}");
        return Of($"{weights.Name} as {mix.ToLowerInvariant()}", weights.Config, tensors, kvType) with { LayersAreAlike = weights.LayersAreAlike };
    }

    /// <param name="tensors">All tensors that the config asks for.</param>
    public static ModelFootprint Of(string name, LlamaConfig config, IReadOnlyList<TensorInfo> tensors, KvType kvType)
    {
        var byName = tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        var layers = Enumerable.Range(0, config.LayerCount).Select(layer => LayerOf(config, layer, byName));
        var head = byName[config.TiedEmbeddings ? LlamaTensors.Embedding : LlamaTensors.Output];
        var kvValues = 2L * config.KvHeadCount * config.HeadSize * KvBlock.Positions;
        return new ModelFootprint(
            name, SplitOf(config, config.Sizes?.Greatest ?? config.SizesOf(0), byName), [.. layers],
            WeightsOf(byName[LlamaTensors.Embedding]), WeightsOf(head), KvBytes(kvType, kvValues))
        {
            HiddenSize = config.HiddenSize,
            ContextLength = config.ContextLength,
            TiedEmbeddings = config.TiedEmbeddings,
        };
    }

    static SplitSizes SplitOf(LlamaConfig config, LayerSizes sizes, Dictionary<string, TensorInfo> tensors) => new()
    {
        HeadCount = sizes.HasAttention ? sizes.HeadCount : 0,
        KvHeadCount = sizes.KvHeadCount,
        LinearSize = sizes.IsLinear ? config.HiddenSize : 0,
        FfnSize = sizes.FfnSize,
        ExpertFfnSize = config.Experts?.FfnSize ?? 0,
        ExpertCount = config.Experts?.Count ?? 0,
        HasSharedExpert = config.Experts?.HasShared ?? false,
        VocabularySize = config.VocabularySize,
        ColumnBlock = Enumerable.Range(0, config.LayerCount).Max(layer => LlamaTensors.DownOf(config, layer) is { } down ? tensors[down].ColumnBlock : 1),
    };

    static LayerFootprint LayerOf(LlamaConfig config, int layer, Dictionary<string, TensorInfo> tensors)
    {
        TensorInfo[] all = [.. LlamaTensors.OfLayer(config, layer).Select(shape => tensors[shape.Name])];
        var parts = all.ToLookup(PartOf);
        return new LayerFootprint(Sum(parts[Part.Attention]), Sum(parts[Part.FeedForward]), parts[Part.OnEveryRank].Sum(tensor => tensor.Bytes))
        {
            Experts = config.HasExperts(layer)
                ? new ExpertFootprint(Sum(parts[Part.Experts]), Sum(parts[Part.SharedExpert]), config.Experts!.Count, config.Experts.UsedCount)
                : null,
            Window = config.ReachOf(layer),
            Split = config.Sizes is null ? null : SplitOf(config, config.SizesOf(layer), tensors),
        };
    }

    static Part PartOf(TensorInfo tensor) =>
        tensor.Rows == 1 || ExpertTensors.IsRouter(tensor.Name) ? Part.OnEveryRank
        : !tensor.Name.Contains(".ffn_", StringComparison.Ordinal) ? Part.Attention
        : ExpertTensors.IsShared(tensor.Name) ? Part.SharedExpert
        : ExpertTensors.StackOf(tensor.Name) is null ? Part.FeedForward
        : Part.Experts;

    static TypedWeights[] Sum(IEnumerable<TensorInfo> matrices) =>
    [
        .. matrices.GroupBy(tensor => tensor.Type).OrderBy(group => group.Key)
            .Select(group => new TypedWeights(
                group.Key.ToString(), group.Sum(tensor => (double)tensor.Rows * tensor.Columns), group.Sum(tensor => tensor.Bytes))),
    ];

    static TypedWeights WeightsOf(TensorInfo tensor) => new(tensor.Type.ToString(), (double)tensor.Rows * tensor.Columns, tensor.Bytes);

    enum Part
    {
        Attention,
        FeedForward,
        Experts,
        SharedExpert,
        OnEveryRank,
    }

    /// <param name="values">The number of keys and values together.</param>
    static long KvBytes(KvType type, long values) => type switch
    {
        KvType.F32 => values * 4,
        KvType.F16 => values * 2,
        KvType.Q80 => values / 32 * 34,
        KvType.Q40 => values / 32 * 18,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a KV type"),
    };
}

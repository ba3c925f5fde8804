using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats;

/// <summary>How many of a model's tensors are of a type, and the bytes they take as they are stored.</summary>
public sealed record TensorTypeFacts(TensorType Type, int Count, long Bytes);

/// <summary>How many matrices files hold in a form that is none of the tensor types, and become such while they are read.</summary>
public sealed record StoredFormFacts(string Form, int Count);

/// <summary>What <c>llamacluster inspect</c> shows of a model, from its headers alone.</summary>
/// <param name="Parameters">Numbers in all tensors; those of a tied head count once. RoPE's divisors are no parameters.</param>
/// <param name="Bytes">Bytes of all tensors as they are stored.</param>
/// <param name="Types">By tensor type, the type with most bytes first.</param>
/// <param name="LayerBytes">[L], stored bytes of each layer.</param>
/// <param name="EmbeddingBytes">Stored bytes of the embedding, which is the head too if it is tied.</param>
/// <param name="HeadBytes">Stored bytes of the output norm and of a head of its own.</param>
/// <param name="KvBytesPerToken">Memory that one position of one sequence takes in all layers, by the type of the KV cache.</param>
public sealed record ModelFacts(
    string Name,
    LlamaConfig Config,
    long Parameters,
    long Bytes,
    IReadOnlyList<TensorTypeFacts> Types,
    IReadOnlyList<long> LayerBytes,
    long EmbeddingBytes,
    long HeadBytes,
    IReadOnlyDictionary<KvType, long> KvBytesPerToken)
{
    /// <summary>The form of most matrices first.</summary>
    public IReadOnlyList<StoredFormFacts> StoredForms { get; init; } = [];

    /// <summary>Of <see cref="Parameters"/>, those that one token meets; of the embedding it is one row.</summary>
    public required long ActiveParameters { get; init; }

    /// <summary>Bytes that are read for one token.</summary>
    public required long ActiveBytes { get; init; }

    public static ModelFacts Of(IModelWeights weights)
    {
        var config = weights.Config;
        return new ModelFacts(
            weights.Name,
            config,
            weights.Tensors.Where(tensor => tensor.Name != LlamaTensors.RopeFactors).Sum(tensor => tensor.Rows * tensor.Columns),
            weights.Tensors.Sum(tensor => tensor.Bytes),
            TypesOf(weights.Tensors),
            [.. Enumerable.Range(0, config.LayerCount).Select(layer => LlamaTensors.OfLayer(config, layer).Sum(shape => BytesOf(weights, shape.Name)))],
            BytesOf(weights, LlamaTensors.Embedding),
            BytesOf(weights, LlamaTensors.OutputNorm) + BytesOf(weights, LlamaTensors.Output),
            Enum.GetValues<KvType>().ToDictionary(type => type, type => KvBytes(config, type)))
        {
            StoredForms =
            [
                .. weights.Tensors.Select(weights.StoredAs).OfType<string>().CountBy(form => form)
                    .Select(form => new StoredFormFacts(form.Key, form.Value))
                    .OrderByDescending(form => form.Count).ThenBy(form => form.Form, StringComparer.Ordinal),
            ],
            ActiveParameters = Active(weights, tensor => tensor.Rows * tensor.Columns, tensor => tensor.Columns),
            ActiveBytes = Active(weights, tensor => tensor.Bytes, tensor => tensor.RowBytes),
        };
    }

    /// <summary>The sum of what one token meets: all of a tensor, of experts as many as it uses, of an embedding that is not the head one row.</summary>
    static long Active(IModelWeights weights, Func<TensorInfo, long> whole, Func<TensorInfo, long> row)
    {
        var config = weights.Config;
        var others = weights.Tensors.Where(tensor => tensor.Name != LlamaTensors.RopeFactors && ExpertTensors.StackOf(tensor.Name) is null)
            .Sum(tensor => tensor.Name == LlamaTensors.Embedding && !config.TiedEmbeddings ? row(tensor) : whole(tensor));
        if (config.Experts is not { } experts) return others;
        return others + weights.Tensors.Where(tensor => ExpertTensors.StackOf(tensor.Name) is (_, var expert) && expert < experts.UsedCount).Sum(whole);
    }

    static List<TensorTypeFacts> TypesOf(IEnumerable<TensorInfo> tensors) =>
    [
        .. tensors.GroupBy(tensor => tensor.Type)
            .Select(group => new TensorTypeFacts(group.Key, group.Count(), group.Sum(tensor => tensor.Bytes)))
            .OrderByDescending(facts => facts.Bytes).ThenBy(facts => facts.Type),
    ];

    static long BytesOf(IModelWeights weights, string name) => weights.Find(name)?.Bytes ?? 0;

    static long KvBytes(LlamaConfig config, KvType type) =>
        StageMemory.KvBytesPerBlock(config, StageShape.Whole(config.LayerCount), type) / KvBlock.Positions;
}

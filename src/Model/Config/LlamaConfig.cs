using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Config;

/// <summary>The facts of a Llama model that its shapes and its maths follow from. Immutable.</summary>
public sealed record LlamaConfig
{
    /// <summary>L: transformer layers.</summary>
    public required int LayerCount { get; init; }

    /// <summary>D: width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>F: width of the SwiGLU feed-forward; where all layers have experts, of those. Of layers that differ, the greatest; so are H and G.</summary>
    public required int FfnSize { get; init; }

    /// <summary>H: query heads.</summary>
    public required int HeadCount { get; init; }

    /// <summary>G: key/value heads; H is a multiple of it.</summary>
    public required int KvHeadCount { get; init; }

    /// <summary>E: dimension of one head. Usually D / H, but a model may state another.</summary>
    public required int HeadSize { get; init; }

    /// <summary>V: rows of the embedding and of the head.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The longest sequence the model was made for, in tokens.</summary>
    public required int ContextLength { get; init; }

    public required float RmsEpsilon { get; init; }

    public required float RopeTheta { get; init; }

    /// <summary>Leading dimensions of a head that are rotated; the rest pass unchanged. Usually E.</summary>
    public required int RopeDimensionCount { get; init; }

    public RopeScaling? RopeScaling { get; init; }

    /// <summary>Null: all layers have the sizes above.</summary>
    public SizesOfLayers? Sizes { get; init; }

    public AttentionBiases Biases { get; init; }

    /// <summary>The head is the embedding matrix.</summary>
    public required bool TiedEmbeddings { get; init; }

    /// <summary>Null: every layer is dense.</summary>
    public ExpertMixture? Experts { get; init; }

    /// <summary>Null: every layer sees all positions, with RoPE.</summary>
    public ChunkedAttention? Chunks { get; init; }

    /// <summary>
    /// Positions that a row of any layer sees, its own and the last ones before it (sliding window attention).
    /// Null: all, or those that <see cref="Chunks"/> says.
    /// </summary>
    public int? Window { get; init; }

    /// <summary>Null: queries do not grow.</summary>
    public QueryScale? QueryScale { get; init; }

    /// <summary>Each head of queries and keys is divided by its root mean square after it has been rotated; one that is not rotated is not.</summary>
    public bool NormsHeads { get; init; }

    public bool HasExperts(int layer) => Experts is { } experts && (layer + 1) % experts.LayerStep == 0;

    /// <summary>Whether a layer sees only the chunk of positions that it is in.</summary>
    public bool SeesChunks(int layer) => Chunks is { } chunks && (layer + 1) % chunks.FullLayerStep != 0;

    /// <summary>Whether queries and keys of a layer are rotated.</summary>
    public bool HasRope(int layer) => Chunks is null || SeesChunks(layer);

    public bool ScalesQueries(int layer) => QueryScale is not null && !SeesChunks(layer);

    /// <summary>Positions that a row of a layer sees at most; null: all.</summary>
    public int? ReachOf(int layer) => SeesChunks(layer) ? Chunks!.ChunkSize : Window;

    /// <summary>Of a layer's attention and dense feed-forward.</summary>
    public LayerSizes SizesOf(int layer) => Sizes?[layer] ?? new LayerSizes(HeadCount, KvHeadCount, Experts is { LayerStep: 1 } ? 0 : FfnSize);

    /// <summary>The sizes that some of a range of layers have, each once.</summary>
    public IEnumerable<LayerSizes> SizesIn(int firstLayer, int count) => Sizes is null
        ? [SizesOf(firstLayer)]
        : Enumerable.Range(firstLayer, count).Select(SizesOf).Distinct();

    /// <summary>Whether the layers have tensors of the same shapes.</summary>
    public bool AreAlike(int layer, int other) => HasExperts(layer) == HasExperts(other) && SizesOf(layer) == SizesOf(other);
}

/// <summary>Vectors that are added to what attention's matrices give, in every layer that has attention.</summary>
[Flags]
public enum AttentionBiases
{
    None = 0,

    /// <summary>Those of Q, K and V.</summary>
    Inputs = 1,

    /// <summary>That of O.</summary>
    Output = 2,
}

/// <summary>
/// The ranges that a config's fields must be in, wherever it comes from: a file, the network, the command line. Within them no
/// product of shapes overflows 64 bits, and no size that is held as an int overflows 32.
/// </summary>
public static class LlamaConfigRules
{
    internal const int MaxLayers = 4096;
    const int MaxWidth = 1 << 20;
    const int MaxFfn = 1 << 22;
    const int MaxHeads = 1 << 14;
    const int MaxHeadSize = 1 << 12;
    public const int MaxVocabulary = 1 << 24;
    internal const int MaxContext = 1 << 27;
    const int MaxExperts = 1 << 12;
    const int MaxUsedExperts = 64;
    const int MaxExpertsInAll = 1 << 16;

    /// <summary>What is wrong first: field, value and allowed range. Null if nothing is.</summary>
    public static string? FirstProblem(LlamaConfig config) =>
        OutOfRange("layer count", config.LayerCount, MaxLayers)
        ?? OutOfRange("hidden size", config.HiddenSize, MaxWidth)
        ?? OutOfRange("feed-forward size", config.FfnSize, MaxFfn)
        ?? OutOfRange("head count", config.HeadCount, MaxHeads)
        ?? OutOfRange("KV head count", config.KvHeadCount, MaxHeads)
        ?? OutOfRange("head size", config.HeadSize, MaxHeadSize)
        ?? OutOfRange("vocabulary size", config.VocabularySize, MaxVocabulary)
        ?? OutOfRange("context length", config.ContextLength, MaxContext)
        ?? HeadProblem(config)
        ?? NumberProblem("RMS epsilon", config.RmsEpsilon, above: 0, atMost: 1)
        ?? NumberProblem("RoPE base", config.RopeTheta, above: 0, atMost: 1e18)
        ?? (config.RopeScaling is { } scaling ? RopeScalingRules.FirstProblem(scaling, config) : null)
        ?? ((config.Biases & ~(AttentionBiases.Inputs | AttentionBiases.Output)) == 0 ? null : $"attention biases {(int)config.Biases} are unknown")
        ?? (config.Sizes is { } sizes ? SizesProblem(sizes, config) : null)
        ?? (config.Experts is { } experts ? ExpertProblem(experts, config.LayerCount) : null)
        ?? (config.Chunks is { } chunks ? ChunkProblem(chunks) : null)
        ?? (config.QueryScale is { } scale ? QueryScaleProblem(scale) : null)
        ?? (config.Window is { } window ? OutOfRange("sliding window", window, MaxContext) : null)
        ?? (config is { Window: not null, Chunks: not null } ? "sliding window and attention in chunks exclude each other" : null);

    static string? HeadProblem(LlamaConfig config)
    {
        if (config.Sizes is null && config.HeadCount % config.KvHeadCount != 0)
            return $"head count {config.HeadCount} is not a multiple of KV head count {config.KvHeadCount}";
        if (config.HeadCount * config.HeadSize > MaxWidth)
            return $"head count {config.HeadCount} times head size {config.HeadSize} is above {MaxWidth}";
        if (config.HeadSize % 2 != 0)
            return $"head size is {config.HeadSize}; RoPE turns pairs, it must be even";
        if (config.RopeDimensionCount < 2 || config.RopeDimensionCount > config.HeadSize || config.RopeDimensionCount % 2 != 0)
            return $"RoPE dimension count is {config.RopeDimensionCount}; it must be even and from 2 to the head size {config.HeadSize}";
        return null;
    }

    static string? SizesProblem(SizesOfLayers sizes, LlamaConfig config)
    {
        if (sizes.Count != config.LayerCount) return $"there are sizes of {sizes.Count} layers, and {config.LayerCount} layers";
        if (config.Experts is not null) return "layers that differ in size and experts exclude each other";
        if (sizes.Greatest is var greatest && greatest != new LayerSizes(config.HeadCount, config.KvHeadCount, config.FfnSize))
            return $"the greatest sizes of layers are {greatest}, "
                + $"not {config.HeadCount} heads, {config.KvHeadCount} KV heads and feed-forward {config.FfnSize}";
        return sizes.Select((size, layer) => size.Problem is { } problem ? $"layer {layer}: {problem}" : null).FirstOrDefault(problem => problem is not null);
    }

    static string? ExpertProblem(ExpertMixture experts, int layers) =>
        OutOfRange("expert count", experts.Count, MaxExperts)
        ?? (experts.Count > 1 ? null : "expert count is 1; a model with one expert has no need of a router")
        ?? OutOfRange("used expert count", experts.UsedCount, Math.Min(experts.Count, MaxUsedExperts))
        ?? OutOfRange("expert feed-forward size", experts.FfnSize, MaxFfn)
        ?? OutOfRange("expert layer step", experts.LayerStep, layers)
        ?? (Enum.IsDefined(experts.Gate) ? null : $"expert gate {(int)experts.Gate} is unknown")
        ?? OutOfRange("number of experts in all layers", layers / experts.LayerStep * experts.Count, MaxExpertsInAll);

    static string? ChunkProblem(ChunkedAttention chunks) =>
        OutOfRange("attention chunk size", chunks.ChunkSize, MaxContext)
        ?? (chunks.ChunkSize % KvBlock.Positions == 0 ? null : $"attention chunk size is {chunks.ChunkSize}; it must be a multiple of {KvBlock.Positions}")
        ?? OutOfRange("full attention layer step", chunks.FullLayerStep, MaxLayers);

    static string? QueryScaleProblem(QueryScale scale) =>
        OutOfRange("query scale span", scale.Span, MaxContext)
        ?? NumberProblem("query scale", scale.Growth, above: 0, atMost: 100)
        ?? (scale.Offset is 0 or 1 ? null : $"query scale offset is {scale.Offset}; it must be 0 or 1");

    internal static string? OutOfRange(string field, int value, int max) =>
        value >= 1 && value <= max ? null : $"{field} is {value}; it must be from 1 to {max}";

    // Written so that NaN is out of range.
    internal static string? NumberProblem(string field, float value, double above, double atMost) =>
        value > above && value <= atMost ? null : $"{field} is {value}; it must be above {above} and at most {atMost}";
}

using LlamaCluster.Kernels.Attention;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Config;

/// <summary>Which part of the model a stage runs: layers <c>FirstLayer .. FirstLayer + LayerCount</c> of <c>TotalLayers</c>.</summary>
public sealed record StageShape(int FirstLayer, int LayerCount, int TotalLayers)
{
    /// <summary>The layer after the last one.</summary>
    public int EndLayer => FirstLayer + LayerCount;

    /// <summary>The first stage turns token ids into activations.</summary>
    public bool Embeds => FirstLayer == 0;

    /// <summary>The last stage turns activations into logits, and samples.</summary>
    public bool HasHead => EndLayer == TotalLayers;

    /// <summary>Only these stages are told token ids.</summary>
    public bool NeedsTokens => Embeds || HasHead;

    public static StageShape Whole(int totalLayers) => new(0, totalLayers, totalLayers);
}

/// <summary>What one rank of a tensor group holds of a layer's matrices. What the layer does not have is empty.</summary>
public sealed record LayerSlice
{
    /// <summary>Query heads: rows of Q, columns of O. The same number for each of <see cref="KvHeads"/>.</summary>
    public IndexRange Heads { get; init; }

    /// <summary>The KV heads of those: rows of K and V. Ranks may have some in common.</summary>
    public IndexRange KvHeads { get; init; }

    /// <summary>Columns of a matrix in attention's place (<see cref="LayerSizes.IsLinear"/>).</summary>
    public IndexRange Linear { get; init; }

    /// <summary>Rows of gate and up, columns of down.</summary>
    public IndexRange Ffn { get; init; }

    /// <summary>Every rank's first query head is a multiple of it; 0: there is one rank.</summary>
    public int HeadUnit { get; init; }

    /// <summary>Every rank's first column in attention's place is a multiple of it; 0: there is one rank.</summary>
    public int LinearUnit { get; init; }

    /// <summary>Every rank's first feed-forward column is a multiple of it; 0: there is one rank.</summary>
    public int FfnUnit { get; init; }

    /// <summary>All of a layer.</summary>
    /// <param name="hiddenSize">D</param>
    public static LayerSlice Whole(LayerSizes sizes, int hiddenSize) => new()
    {
        Heads = new(0, sizes.HasAttention ? sizes.HeadCount : 0),
        KvHeads = new(0, sizes.KvHeadCount),
        Linear = new(0, sizes.IsLinear ? hiddenSize : 0),
        Ffn = new(0, sizes.FfnSize),
    };

    /// <summary>Why this is no slice of a layer, in one line; null if it is.</summary>
    public string? FirstProblem(LayerSizes sizes, int hiddenSize)
    {
        var whole = Whole(sizes, hiddenSize);
        return SliceRules.RangeProblem("query heads", Heads, whole.Heads.Count)
            ?? SliceRules.RangeProblem("KV heads", KvHeads, whole.KvHeads.Count)
            ?? SliceRules.RangeProblem("columns in attention's place", Linear, whole.Linear.Count)
            ?? SliceRules.RangeProblem("feed-forward columns", Ffn, whole.Ffn.Count)
            ?? SliceRules.UnitProblem("query heads", Heads, HeadUnit)
            ?? SliceRules.UnitProblem("columns in attention's place", Linear, LinearUnit)
            ?? SliceRules.UnitProblem("feed-forward columns", Ffn, FfnUnit)
            ?? (sizes.HasAttention ? GroupProblem(sizes.Group) : null);
    }

    /// <summary>Attention takes the same number of query heads for each KV head.</summary>
    string? GroupProblem(int group)
    {
        var wholeGroups = Heads.First == KvHeads.First * group && Heads.Count == KvHeads.Count * group;
        var partOfOne = KvHeads.Count == 1 && Heads.First / group == KvHeads.First && (Heads.End - 1) / group == KvHeads.First;
        return wholeGroups || partOfOne
            ? null
            : $"query heads {Heads.First} + {Heads.Count} are neither the groups of KV heads {KvHeads.First} + {KvHeads.Count} nor a part of one, {group} each";
    }
}

/// <summary>
/// What one rank of a tensor group holds of each of its stage's layers, and of the head. All ranks hold the norms and, on the first stage, the
/// embedding whole.
/// </summary>
public sealed record StageSlice
{
    /// <summary>From 0.</summary>
    public required int Rank { get; init; }

    public required int RankCount { get; init; }

    /// <summary>Of each size that the stage's layers have.</summary>
    public required IReadOnlyDictionary<LayerSizes, LayerSlice> Layers { get; init; }

    /// <summary>The experts of which it has something: all, or some that it has whole. Empty where the model has no experts.</summary>
    public IndexRange Experts { get; init; }

    /// <summary>Rows of gate and up, columns of down of each of <see cref="Experts"/>.</summary>
    public IndexRange ExpertFfn { get; init; }

    /// <summary>Every rank's first column of an expert is a multiple of it; 0: there is one rank, or each has whole experts.</summary>
    public int ExpertFfnUnit { get; init; }

    /// <summary>Rows of gate and up, columns of down of the expert that all rows use; empty where there is none.</summary>
    public IndexRange SharedExpertFfn { get; init; }

    /// <summary>Every rank's first column of that expert is a multiple of it; 0: there is one rank.</summary>
    public int SharedExpertFfnUnit { get; init; }

    /// <summary>Rows of the head; starts at a multiple of 16.</summary>
    public required IndexRange Vocabulary { get; init; }

    /// <summary>The most query heads that a layer has.</summary>
    public int MostHeads => Layers.Values.Max(layer => layer.Heads.Count);

    /// <summary>The most KV heads that a layer has.</summary>
    public int MostKvHeads => Layers.Values.Max(layer => layer.KvHeads.Count);

    /// <summary>Columns of the widest feed-forward.</summary>
    public int WidestFfn => Math.Max(Layers.Values.Max(layer => layer.Ffn.Count), Math.Max(ExpertFfn.Count, SharedExpertFfn.Count));

    public LayerSlice Of(LlamaConfig config, int layer) => Layers[config.SizesOf(layer)];

    /// <summary>The rank's rows of the head of a vocabulary that is not smaller than the model's: shared in the same proportions.</summary>
    /// <param name="size">V of that vocabulary.</param>
    public IndexRange VocabularyOf(LlamaConfig config, int size)
    {
        var (first, end) = (Scaled(Vocabulary.First), Vocabulary.End == config.VocabularySize ? size : Scaled(Vocabulary.End));
        return new(first, end - first);

        int Scaled(int row) => (int)((long)row * size / config.VocabularySize) / RowGroup.Rows * RowGroup.Rows;
    }

    /// <summary>Numbers of a row of what attention, or what is in its place, gives to O.</summary>
    public int WidestAttended(int headSize) => Layers.Values.Max(layer => Math.Max(layer.Heads.Count * headSize, layer.Linear.Count));

    /// <summary>All of the stage.</summary>
    public static StageSlice Whole(LlamaConfig config) => new()
    {
        Rank = 0,
        RankCount = 1,
        Layers = config.SizesIn(0, config.LayerCount).ToDictionary(sizes => sizes, sizes => LayerSlice.Whole(sizes, config.HiddenSize)),
        Experts = new(0, config.Experts?.Count ?? 0),
        ExpertFfn = new(0, config.Experts?.FfnSize ?? 0),
        SharedExpertFfn = new(0, config.Experts is { HasShared: true } experts ? experts.FfnSize : 0),
        Vocabulary = new(0, config.VocabularySize),
    };

    /// <summary>Why this is no slice of a model, in one line; null if it is.</summary>
    public string? FirstProblem(LlamaConfig config)
    {
        if (RankCount < 1 || Rank < 0 || Rank >= RankCount) return $"rank {Rank} of {RankCount}";
        return Layers.Select(layer => layer.Value.FirstProblem(layer.Key, config.HiddenSize)).FirstOrDefault(problem => problem is not null)
            ?? (config.Experts is { } experts ? ExpertsProblem(experts) : null)
            ?? SliceRules.RangeProblem("vocabulary rows", Vocabulary, config.VocabularySize)
            ?? (Vocabulary.First % RowGroup.Rows == 0 ? null : $"vocabulary rows start at {Vocabulary.First}, not at a multiple of {RowGroup.Rows}");
    }

    string? ExpertsProblem(ExpertMixture experts) =>
        SliceRules.RangeProblem("experts", Experts, experts.Count)
        ?? SliceRules.RangeProblem("expert columns", ExpertFfn, experts.FfnSize)
        ?? SliceRules.RangeProblem("columns of the shared expert", SharedExpertFfn, experts.HasShared ? experts.FfnSize : 0)
        ?? SliceRules.UnitProblem("expert columns", ExpertFfn, ExpertFfnUnit)
        ?? SliceRules.UnitProblem("columns of the shared expert", SharedExpertFfn, SharedExpertFfnUnit);
}

static class SliceRules
{
    /// <summary>Of nothing a rank has nothing, of anything else something.</summary>
    public static string? RangeProblem(string what, IndexRange range, int total) =>
        range.IsWithin(total) || (total == 0 && range.Count == 0) ? null : $"{what} {range.First} + {range.Count} are not within {total}";

    public static string? UnitProblem(string what, IndexRange range, int unit) =>
        unit == 0 ? (range.First == 0 ? null : $"{what} start at {range.First} and have no unit")
        : unit > 0 && range.First % unit == 0 ? null
        : $"{what} start at {range.First}, not at a multiple of {unit}";
}

/// <summary>How much memory a stage takes beside its weights; for planning, before anything is allocated.</summary>
public static class StageMemory
{
    /// <summary>Rows of logits that are computed at a time: enough to read the head once for several, and little memory.</summary>
    public const int MaxLogitRows = 32;

    /// <summary>Columns by which a rank's slice of a matrix may be wider than its activations: parts of two blocks.</summary>
    const int SharedBlocks = 2 * 256;

    /// <summary>Bytes of one KV block (16 positions) over all layers of a stage.</summary>
    public static long KvBytesPerBlock(LlamaConfig config, StageShape shape, KvType type) =>
        KvBytesPerBlock(config, shape, StageSlice.Whole(config), type);

    /// <summary>Bytes of one KV block (16 positions) over all layers of a stage, on one rank.</summary>
    public static long KvBytesPerBlock(LlamaConfig config, StageShape shape, StageSlice slice, KvType type) =>
        config.Sizes is null
            ? checked(KvLayoutOf(config, slice, shape.FirstLayer, type).Bytes * shape.LayerCount)
            : Enumerable.Range(shape.FirstLayer, shape.LayerCount).Sum(layer => KvLayoutOf(config, slice, layer, type).Bytes);

    /// <summary>A KV block of a layer on one rank; of 0 bytes where the layer has no attention.</summary>
    public static KvBlockLayout KvLayoutOf(LlamaConfig config, StageSlice slice, int layer, KvType type) =>
        new(type, slice.Of(config, layer).KvHeads.Count, config.HeadSize);

    /// <summary>Bytes of a stage's buffers for steps of up to <paramref name="maxStepRows"/> rows; rounded up, not down.</summary>
    public static long BufferBytes(LlamaConfig config, StageShape shape, int maxStepRows) =>
        BufferBytes(config, shape, StageSlice.Whole(config), maxStepRows);

    /// <summary>As above, on one rank.</summary>
    public static long BufferBytes(LlamaConfig config, StageShape shape, StageSlice slice, int maxStepRows)
    {
        var (query, key) = ((long)slice.MostHeads * config.HeadSize, (long)slice.MostKvHeads * config.HeadSize);
        long attended = slice.WidestAttended(config.HeadSize);
        var activations = query + attended + 2 * (config.HiddenSize + key + slice.WidestFfn + config.RopeDimensionCount);
        if (config.Experts is { } experts) activations += 2 * config.HiddenSize + experts.Count + 4 * experts.UsedCount;
        // A product's input is held as floats and, for quantised weights, as blocks of bytes with their sums and scales.
        var inputs = 2 * Math.Max(config.HiddenSize, Math.Max(attended, slice.WidestFfn) + (slice.RankCount == 1 ? 0 : SharedBlocks));
        var logits = shape.HasHead ? (long)Math.Min(maxStepRows, MaxLogitRows) * slice.Vocabulary.Count : 0;
        return checked(sizeof(float) * (maxStepRows * (activations + inputs) + logits));
    }

    /// <summary>Bytes of the buffers that adapters of ranks up to <paramref name="maxRank"/> take besides, on one rank; 0: there are none.</summary>
    /// <param name="maxVocabulary">The greatest vocabulary of any, and of the model.</param>
    public static long AdapterBufferBytes(LlamaConfig config, StageShape shape, StageSlice slice, int maxStepRows, int maxRank, int maxVocabulary)
    {
        if (maxRank == 0) return 0;
        var more = shape.HasHead ? slice.VocabularyOf(config, maxVocabulary).Count - slice.Vocabulary.Count : 0;
        return LowRankProduct.BytesOf(maxStepRows, maxRank, AdapterColumns(config, slice)) + (sizeof(float) * (long)Math.Min(maxStepRows, MaxLogitRows) * more);
    }

    /// <summary>The most inputs that a matrix has whose outputs adapters add to, on one rank.</summary>
    internal static int AdapterColumns(LlamaConfig config, StageSlice slice) =>
        Math.Max(config.HiddenSize, Math.Max(slice.WidestAttended(config.HeadSize), slice.WidestFfn));
}

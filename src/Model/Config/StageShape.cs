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

/// <summary>
/// What one rank of a tensor group holds of each of its stage's layers, and of the head. All ranks hold the norms and, on the first stage, the
/// embedding whole.
/// </summary>
public sealed record StageSlice
{
    /// <summary>From 0.</summary>
    public required int Rank { get; init; }

    public required int RankCount { get; init; }

    /// <summary>Query heads: rows of Q, columns of O. The same number for each of <see cref="KvHeads"/>.</summary>
    public required IndexRange Heads { get; init; }

    /// <summary>The KV heads of those: rows of K and V. Ranks may have some in common.</summary>
    public required IndexRange KvHeads { get; init; }

    /// <summary>Rows of gate and up, columns of down.</summary>
    public required IndexRange Ffn { get; init; }

    /// <summary>Every rank's first query head is a multiple of it; 0: there is one rank.</summary>
    public required int HeadUnit { get; init; }

    /// <summary>Every rank's first feed-forward column is a multiple of it; 0: there is one rank.</summary>
    public required int FfnUnit { get; init; }

    /// <summary>Rows of every expert's gate and up, columns of its down; empty where the model has no experts.</summary>
    public IndexRange ExpertFfn { get; init; }

    /// <summary>Every rank's first column of an expert is a multiple of it; 0: there is one rank.</summary>
    public int ExpertFfnUnit { get; init; }

    /// <summary>Rows of the head; starts at a multiple of 16.</summary>
    public required IndexRange Vocabulary { get; init; }

    /// <summary>Columns of the widest feed-forward.</summary>
    public int WidestFfn => Math.Max(Ffn.Count, ExpertFfn.Count);

    /// <summary>All of the stage.</summary>
    public static StageSlice Whole(LlamaConfig config) => new()
    {
        Rank = 0,
        RankCount = 1,
        Heads = new(0, config.HeadCount),
        KvHeads = new(0, config.KvHeadCount),
        Ffn = new(0, config.FfnSize),
        HeadUnit = 0,
        FfnUnit = 0,
        ExpertFfn = new(0, config.Experts?.FfnSize ?? 0),
        Vocabulary = new(0, config.VocabularySize),
    };

    /// <summary>Why this is no slice of a model, in one line; null if it is.</summary>
    public string? FirstProblem(LlamaConfig config)
    {
        if (RankCount < 1 || Rank < 0 || Rank >= RankCount) return $"rank {Rank} of {RankCount}";
        return RangeProblem("query heads", Heads, config.HeadCount)
            ?? RangeProblem("KV heads", KvHeads, config.KvHeadCount)
            ?? RangeProblem("feed-forward columns", Ffn, config.FfnSize)
            ?? (config.Experts is { } experts ? RangeProblem("expert columns", ExpertFfn, experts.FfnSize) : null)
            ?? RangeProblem("vocabulary rows", Vocabulary, config.VocabularySize)
            ?? UnitProblem("query heads", Heads, HeadUnit)
            ?? UnitProblem("feed-forward columns", Ffn, FfnUnit)
            ?? UnitProblem("expert columns", ExpertFfn, ExpertFfnUnit)
            ?? (Vocabulary.First % RowGroup.Rows == 0 ? null : $"vocabulary rows start at {Vocabulary.First}, not at a multiple of {RowGroup.Rows}")
            ?? GroupProblem(config.HeadCount / config.KvHeadCount);
    }

    static string? RangeProblem(string what, IndexRange range, int total) =>
        range.IsWithin(total) ? null : $"{what} {range.First} + {range.Count} are not within {total}";

    static string? UnitProblem(string what, IndexRange range, int unit) =>
        unit == 0 ? (range.First == 0 ? null : $"{what} start at {range.First} and have no unit")
        : unit > 0 && range.First % unit == 0 ? null
        : $"{what} start at {range.First}, not at a multiple of {unit}";

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
        checked(new KvBlockLayout(type, slice.KvHeads.Count, config.HeadSize).Bytes * shape.LayerCount);

    /// <summary>Bytes of a stage's buffers for steps of up to <paramref name="maxStepRows"/> rows; rounded up, not down.</summary>
    public static long BufferBytes(LlamaConfig config, StageShape shape, int maxStepRows) =>
        BufferBytes(config, shape, StageSlice.Whole(config), maxStepRows);

    /// <summary>As above, on one rank.</summary>
    public static long BufferBytes(LlamaConfig config, StageShape shape, StageSlice slice, int maxStepRows)
    {
        var (query, key) = ((long)slice.Heads.Count * config.HeadSize, (long)slice.KvHeads.Count * config.HeadSize);
        var activations = 2 * (config.HiddenSize + query + key + slice.WidestFfn + config.RopeDimensionCount);
        if (config.Experts is { } experts) activations += 2 * config.HiddenSize + experts.Count + 4 * experts.UsedCount;
        // A product's input is held as floats and, for quantised weights, as blocks of bytes with their sums and scales.
        var inputs = 2 * Math.Max(config.HiddenSize, Math.Max(query, slice.WidestFfn) + (slice.RankCount == 1 ? 0 : SharedBlocks));
        var logits = shape.HasHead ? (long)Math.Min(maxStepRows, MaxLogitRows) * slice.Vocabulary.Count : 0;
        return checked(sizeof(float) * (maxStepRows * (activations + inputs) + logits));
    }

    /// <summary>Bytes of the buffers that adapters of ranks up to <paramref name="maxRank"/> take besides, on one rank; 0: there are none.</summary>
    public static long AdapterBufferBytes(LlamaConfig config, StageSlice slice, int maxStepRows, int maxRank)
    {
        var (columns, outputs) = AdapterWidths(config, slice);
        return maxRank == 0 ? 0 : LowRankProduct.BytesOf(maxStepRows, maxRank, columns, outputs);
    }

    /// <summary>The most inputs and outputs that a matrix has whose outputs adapters add to at a time, on one rank.</summary>
    internal static (int Columns, int Outputs) AdapterWidths(LlamaConfig config, StageSlice slice)
    {
        var widest = Math.Max(config.HiddenSize, Math.Max(slice.Heads.Count * config.HeadSize, slice.Ffn.Count));
        return (widest, (widest + RowGroup.Rows - 1) / RowGroup.Rows * RowGroup.Rows);
    }
}

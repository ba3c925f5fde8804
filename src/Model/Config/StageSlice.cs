using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Config;

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

    /// <summary>Rows of the head; starts at a multiple of 16.</summary>
    public required IndexRange Vocabulary { get; init; }

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
        Vocabulary = new(0, config.VocabularySize),
    };

    /// <summary>Why this is no slice of a model, in one line; null if it is.</summary>
    public string? FirstProblem(LlamaConfig config)
    {
        if (RankCount < 1 || Rank < 0 || Rank >= RankCount) return $"rank {Rank} of {RankCount}";
        return RangeProblem("query heads", Heads, config.HeadCount)
            ?? RangeProblem("KV heads", KvHeads, config.KvHeadCount)
            ?? RangeProblem("feed-forward columns", Ffn, config.FfnSize)
            ?? RangeProblem("vocabulary rows", Vocabulary, config.VocabularySize)
            ?? UnitProblem("query heads", Heads, HeadUnit)
            ?? UnitProblem("feed-forward columns", Ffn, FfnUnit)
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

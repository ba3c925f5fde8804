using System.Diagnostics.CodeAnalysis;
using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Plans;

/// <summary>
/// All arithmetic of splitting layers over the ranks of a tensor group. Immutable and pure: the same sizes and shares give the same slices on
/// every machine. Slices are in rank order, not empty, and cover everything once, but for KV heads that several ranks need.
/// <para>
/// Each rank's part is as near its share as the units allow (see <see cref="Apportionment"/>). Units are KV heads with their query heads; with
/// more ranks than KV heads, the query heads of each (see <see cref="HeadDivision"/>). Of the feed-forward they are whole quantisation
/// blocks; where there are fewer of these than ranks, <see cref="FineColumns"/> columns. Of the head they are <see cref="RowGroup.Rows"/> rows.
/// </para>
/// </summary>
public sealed class TensorSplit
{
    /// <summary>The smallest number of columns that a matrix product takes together.</summary>
    public const int FineColumns = 32;

    readonly RankSlice[] _slices;

    TensorSplit(SplitSizes sizes, RankShares shares)
    {
        var heads = HeadDivision.Divide(sizes.HeadCount, sizes.KvHeadCount, shares);
        var ffn = Divide(sizes.FfnSize, ColumnsCutTogether(sizes, shares.Count), shares);
        var vocabulary = Divide(sizes.VocabularySize, RowGroup.Rows, shares);
        var group = sizes.HeadCount / sizes.KvHeadCount;
        _slices = [.. Enumerable.Range(0, shares.Count).Select(rank => new RankSlice(heads[rank], KvHeadsOf(heads[rank], group), ffn[rank], vocabulary[rank]))];
        (HeadUnit, FfnUnit) = (UnitOf(heads), UnitOf(ffn));
    }

    public int RankCount => _slices.Length;

    /// <summary>The greatest number of which every rank's first query head is a multiple; 0: there is one rank.</summary>
    public int HeadUnit { get; }

    /// <summary>The greatest number of which every rank's first feed-forward column is a multiple; 0: there is one rank.</summary>
    public int FfnUnit { get; }

    public RankSlice this[int rank] => _slices[rank];

    /// <summary>How many ranks can share a model of these sizes; at least 1.</summary>
    public static int MaxRanks(SplitSizes sizes) => Math.Min(
        RankShares.MaxRanks, Math.Min(sizes.HeadCount, Math.Min(Units(sizes.FfnSize, FineColumns), Units(sizes.VocabularySize, RowGroup.Rows))));

    /// <summary>Why there is no such split, in one line; null if there is.</summary>
    public static string? FirstProblem(SplitSizes sizes, RankShares shares)
    {
        if (SizeProblem(sizes) is { } problem) return problem;
        if (shares.Count > sizes.HeadCount) return $"{shares.Count} ranks cannot share {sizes.HeadCount} query heads";
        if (shares.Count > Units(sizes.FfnSize, FineColumns))
            return $"{shares.Count} ranks cannot share a feed-forward of {sizes.FfnSize}, each at least {FineColumns} columns";
        return shares.Count > Units(sizes.VocabularySize, RowGroup.Rows)
            ? $"{shares.Count} ranks cannot share a vocabulary of {sizes.VocabularySize}, each at least {RowGroup.Rows} rows"
            : null;
    }

    /// <param name="problem">Why there is no such split, in one line.</param>
    public static bool TryCreate(
        SplitSizes sizes, RankShares shares, [NotNullWhen(true)] out TensorSplit? split, [NotNullWhen(false)] out string? problem)
    {
        problem = FirstProblem(sizes, shares);
        split = problem is null ? new TensorSplit(sizes, shares) : null;
        return split is not null;
    }

    /// <exception cref="ArgumentException">There is no such split; the message says why.</exception>
    public static TensorSplit Create(SplitSizes sizes, RankShares shares) =>
        TryCreate(sizes, shares, out var split, out var problem) ? split : throw new ArgumentException(problem, nameof(shares));

    static string? SizeProblem(SplitSizes sizes)
    {
        if (sizes.HeadCount < 1 || sizes.KvHeadCount < 1 || sizes.HeadCount % sizes.KvHeadCount != 0)
            return $"{sizes.HeadCount} query heads cannot share {sizes.KvHeadCount} KV heads";
        if (sizes.FfnSize < 1 || sizes.VocabularySize < 1) return $"a feed-forward of {sizes.FfnSize} or a vocabulary of {sizes.VocabularySize} cannot be split";
        return sizes.ColumnBlock < 1 || (sizes.ColumnBlock > FineColumns && sizes.ColumnBlock % FineColumns != 0)
            ? $"columns cannot be stored in blocks of {sizes.ColumnBlock}"
            : null;
    }

    static int ColumnsCutTogether(SplitSizes sizes, int ranks)
    {
        var block = Math.Max(FineColumns, sizes.ColumnBlock);
        return ranks <= Units(sizes.FfnSize, block) ? block : FineColumns;
    }

    /// <summary>Consecutive ranges of whole units, of which the last one may be shorter.</summary>
    static IndexRange[] Divide(int total, int unit, RankShares shares)
    {
        var first = 0;
        return [.. Apportionment.Divide(Units(total, unit), shares.Values).Select(units =>
        {
            var range = new IndexRange(first, (int)Math.Min((long)units * unit, total - first));
            first = range.End;
            return range;
        })];
    }

    static IndexRange KvHeadsOf(IndexRange heads, int group)
    {
        var first = heads.First / group;
        return new IndexRange(first, ((heads.End + group - 1) / group) - first);
    }

    static int UnitOf(IEnumerable<IndexRange> ranges) => ranges.Select(range => range.First).Aggregate(RankShares.GreatestDivisor);

    static int Units(int total, int unit) => (int)(((long)total + unit - 1) / unit);
}

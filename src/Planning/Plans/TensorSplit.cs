using System.Diagnostics.CodeAnalysis;
using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Plans;

/// <summary>The sizes of a model that a tensor group divides.</summary>
public sealed record SplitSizes
{
    /// <summary>H, a multiple of G.</summary>
    public required int HeadCount { get; init; }

    /// <summary>G.</summary>
    public required int KvHeadCount { get; init; }

    /// <summary>F.</summary>
    public required int FfnSize { get; init; }

    /// <summary>F': width of an expert; 0 if the model has none.</summary>
    public int ExpertFfnSize { get; init; }

    /// <summary>V.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Columns per quantisation block of the layers' down matrices: 256, 32, or 1 for floats.</summary>
    public required int ColumnBlock { get; init; }
}

/// <summary>What one rank of a tensor group holds of every layer of its stage, and of the output head.</summary>
/// <param name="Heads">Query heads: rows of Q, columns of O. Whole groups that share a KV head, or a part of one group.</param>
/// <param name="KvHeads">The KV heads of these query heads: rows of K and V. With more ranks than KV heads, several ranks hold the same KV head.</param>
/// <param name="Ffn">Rows of gate and up, columns of down.</param>
/// <param name="Vocabulary">Rows of the head.</param>
public sealed record RankSlice(IndexRange Heads, IndexRange KvHeads, IndexRange Ffn, IndexRange Vocabulary)
{
    /// <summary>The same of every expert; empty if the model has none.</summary>
    public IndexRange ExpertFfn { get; init; }
}

/// <summary>
/// All arithmetic of splitting layers over the ranks of a tensor group. Immutable and pure: the same sizes and shares give the same slices on
/// every machine. Slices are in rank order and not empty. They cover everything once, except KV heads, which several ranks may need.
/// <para>
/// Each rank's part is as close to its share as the units allow (see <see cref="Apportionment"/>). Attention is divided by KV heads with their
/// query heads, or by query heads if there are more ranks than KV heads. The feed-forward is divided by whole quantisation blocks, or by
/// <see cref="FineColumns"/> columns if there are fewer blocks than ranks; so is every expert, which therefore works on all ranks at a time.
/// The output head is divided by <see cref="RowGroup.Rows"/> rows.
/// </para>
/// </summary>
public sealed class TensorSplit
{
    /// <summary>The smallest number of columns that a matrix product handles as a unit.</summary>
    public const int FineColumns = 32;

    readonly RankSlice[] _slices;

    TensorSplit(SplitSizes sizes, RankShares shares)
    {
        var heads = Apportionment.DivideHeads(sizes.HeadCount, sizes.KvHeadCount, shares);
        var ffn = Divide(sizes.FfnSize, ColumnsCutTogether(sizes, sizes.FfnSize, shares.Count), shares);
        var experts = sizes.ExpertFfnSize == 0
            ? new IndexRange[shares.Count]
            : Divide(sizes.ExpertFfnSize, ColumnsCutTogether(sizes, sizes.ExpertFfnSize, shares.Count), shares);
        var vocabulary = Divide(sizes.VocabularySize, RowGroup.Rows, shares);
        var group = sizes.HeadCount / sizes.KvHeadCount;
        _slices = [.. Enumerable.Range(0, shares.Count).Select(rank =>
            new RankSlice(heads[rank], KvHeadsOf(heads[rank], group), ffn[rank], vocabulary[rank]) { ExpertFfn = experts[rank] })];
        (HeadUnit, FfnUnit, ExpertFfnUnit) = (UnitOf(heads), UnitOf(ffn), UnitOf(experts));
    }

    public int RankCount => _slices.Length;

    /// <summary>Every rank's first query head is a multiple of this, the greatest such number; 0 if there is one rank.</summary>
    public int HeadUnit { get; }

    /// <summary>Every rank's first feed-forward column is a multiple of this, the greatest such number; 0 if there is one rank.</summary>
    public int FfnUnit { get; }

    /// <summary>Every rank's first column of an expert is a multiple of this, the greatest such number; 0 if there is one rank or no expert.</summary>
    public int ExpertFfnUnit { get; }

    public RankSlice this[int rank] => _slices[rank];

    /// <summary>The most ranks that can share a model of these sizes; at least 1.</summary>
    public static int MaxRanks(SplitSizes sizes)
    {
        var columns = Units(sizes.FfnSize, FineColumns);
        if (sizes.ExpertFfnSize > 0) columns = Math.Min(columns, Units(sizes.ExpertFfnSize, FinestColumns(sizes)));
        return Math.Min(RankShares.MaxRanks, Math.Min(sizes.HeadCount, Math.Min(columns, Units(sizes.VocabularySize, RowGroup.Rows))));
    }

    /// <summary>One line that says why the split is impossible; null if it is possible.</summary>
    public static string? FirstProblem(SplitSizes sizes, RankShares shares)
    {
        if (SizeProblem(sizes) is { } problem) return problem;
        if (shares.Count > sizes.HeadCount) return $"{shares.Count} ranks cannot share {sizes.HeadCount} query heads";
        if (shares.Count > Units(sizes.FfnSize, FineColumns))
            return $"{shares.Count} ranks cannot share a feed-forward of {sizes.FfnSize}, each at least {FineColumns} columns";
        if (sizes.ExpertFfnSize > 0 && shares.Count > Units(sizes.ExpertFfnSize, FinestColumns(sizes)))
            return $"{shares.Count} ranks cannot share experts of {sizes.ExpertFfnSize}, each at least {FinestColumns(sizes)} columns";
        return shares.Count > Units(sizes.VocabularySize, RowGroup.Rows)
            ? $"{shares.Count} ranks cannot share a vocabulary of {sizes.VocabularySize}, each at least {RowGroup.Rows} rows"
            : null;
    }

    /// <param name="problem">One line that says why the split is impossible.</param>
    public static bool TryCreate(
        SplitSizes sizes, RankShares shares, [NotNullWhen(true)] out TensorSplit? split, [NotNullWhen(false)] out string? problem)
    {
        problem = FirstProblem(sizes, shares);
        split = problem is null ? new TensorSplit(sizes, shares) : null;
        return split is not null;
    }

    /// <exception cref="ArgumentException">The split is impossible; the message says why.</exception>
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

    static int ColumnsCutTogether(SplitSizes sizes, int width, int ranks)
    {
        var block = Math.Max(FineColumns, sizes.ColumnBlock);
        if (ranks <= Units(width, block)) return block;
        return ranks <= Units(width, FineColumns) ? FineColumns : FinestColumns(sizes);
    }

    /// <summary>Experts may be narrow. Those of floats are cut between the rows that a product interleaves.</summary>
    static int FinestColumns(SplitSizes sizes) => sizes.ColumnBlock == 1 ? RowGroup.Rows : FineColumns;

    /// <summary>Consecutive ranges of whole units; the last unit may be shorter.</summary>
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

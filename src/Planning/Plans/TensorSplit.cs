using System.Diagnostics.CodeAnalysis;
using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Plans;

/// <summary>The sizes that a tensor group divides of a model's layers; where layers differ, of some of them.</summary>
public sealed record SplitSizes
{
    /// <summary>H, a multiple of G; 0, as G is: there is no attention.</summary>
    public required int HeadCount { get; init; }

    /// <summary>G.</summary>
    public required int KvHeadCount { get; init; }

    /// <summary>Columns of a matrix that is in attention's place; 0: there is none.</summary>
    public int LinearSize { get; init; }

    /// <summary>F; 0: there is no feed-forward.</summary>
    public required int FfnSize { get; init; }

    /// <summary>F': width of an expert; 0 if the model has none.</summary>
    public int ExpertFfnSize { get; init; }

    /// <summary>N: experts of a layer; 0 if the model has none.</summary>
    public int ExpertCount { get; init; }

    /// <summary>A further expert as wide, which all rows use.</summary>
    public bool HasSharedExpert { get; init; }

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
    /// <summary>Columns of a matrix in attention's place; empty if there is none.</summary>
    public IndexRange Linear { get; init; }

    /// <summary>The experts of which it has something; empty if the model has none.</summary>
    public IndexRange Experts { get; init; }

    /// <summary>Rows of gate and up, columns of down of each of <see cref="Experts"/>.</summary>
    public IndexRange ExpertFfn { get; init; }

    /// <summary>The same of the expert that all rows use; empty if there is none.</summary>
    public IndexRange SharedExpertFfn { get; init; }
}

/// <summary>
/// All arithmetic of splitting layers over the ranks of a tensor group. Immutable and pure: the same sizes and shares give the same slices on
/// every machine. Slices are in rank order, and empty only of what is not there. They cover everything once, except KV heads, which several ranks may need.
/// <para>
/// Each rank's part is as close to its share as the units allow (see <see cref="Apportionment"/>). Attention is divided by KV heads with their
/// query heads, or by query heads if there are more ranks than KV heads. The feed-forward is divided by whole quantisation blocks, or by
/// <see cref="FineColumns"/> columns if there are fewer blocks than ranks; so is the expert that all rows use, and every other, which then works on all
/// ranks at a time. With <see cref="RankShares.WholeExperts"/> a rank has consecutive whole experts instead.
/// A matrix in attention's place is divided as the feed-forward. The output head is divided by <see cref="RowGroup.Rows"/> rows.
/// </para>
/// </summary>
public sealed class TensorSplit
{
    /// <summary>The smallest number of columns that a matrix product handles as a unit.</summary>
    public const int FineColumns = 32;

    readonly RankSlice[] _slices;

    TensorSplit(SplitSizes sizes, RankShares shares)
    {
        IndexRange[] Columns(int width) => width == 0 ? new IndexRange[shares.Count] : Divide(width, ColumnsCutTogether(sizes, width, shares.Count), shares);
        var heads = sizes.HeadCount == 0 ? new IndexRange[shares.Count] : Apportionment.DivideHeads(sizes.HeadCount, sizes.KvHeadCount, shares);
        var (linear, ffn) = (Columns(sizes.LinearSize), Columns(sizes.FfnSize));
        var sharedExpert = sizes.HasSharedExpert ? Columns(sizes.ExpertFfnSize) : new IndexRange[shares.Count];
        IndexRange[] Same(int count) => [.. Enumerable.Repeat(new IndexRange(0, count), shares.Count)];
        var (experts, expertFfn) = shares.WholeExperts
            ? (Divide(sizes.ExpertCount, 1, shares), Same(sizes.ExpertFfnSize))
            : (Same(sizes.ExpertCount), Columns(sizes.ExpertFfnSize));
        var vocabulary = Divide(sizes.VocabularySize, RowGroup.Rows, shares);
        var group = sizes.HeadCount == 0 ? 1 : sizes.HeadCount / sizes.KvHeadCount;
        _slices = [.. Enumerable.Range(0, shares.Count).Select(rank =>
            new RankSlice(heads[rank], KvHeadsOf(heads[rank], group), ffn[rank], vocabulary[rank])
            {
                Linear = linear[rank],
                Experts = experts[rank],
                ExpertFfn = expertFfn[rank],
                SharedExpertFfn = sharedExpert[rank],
            })];
        (HeadUnit, LinearUnit, FfnUnit) = (UnitOf(heads), UnitOf(linear), UnitOf(ffn));
        (ExpertFfnUnit, SharedExpertFfnUnit) = (UnitOf(expertFfn), UnitOf(sharedExpert));
    }

    public int RankCount => _slices.Length;

    /// <summary>Every rank's first query head is a multiple of this, the greatest such number; 0 if there is one rank.</summary>
    public int HeadUnit { get; }

    /// <summary>Every rank's first column in attention's place is a multiple of this, the greatest such number; 0 if there is one rank or no column.</summary>
    public int LinearUnit { get; }

    /// <summary>Every rank's first feed-forward column is a multiple of this, the greatest such number; 0 if there is one rank.</summary>
    public int FfnUnit { get; }

    /// <summary>Every rank's first column of an expert is a multiple of this, the greatest such number; 0 if experts are not cut.</summary>
    public int ExpertFfnUnit { get; }

    /// <summary>The same of the expert that all rows use; 0 if there is one rank or no such expert.</summary>
    public int SharedExpertFfnUnit { get; }

    public RankSlice this[int rank] => _slices[rank];

    /// <summary>The most ranks that can share a model of these sizes; at least 1.</summary>
    /// <param name="wholeExperts">Experts are given to ranks whole.</param>
    public static int MaxRanks(SplitSizes sizes, bool wholeExperts = false)
    {
        int[] most =
        [
            sizes.HeadCount, Units(sizes.LinearSize, FineColumns), Units(sizes.FfnSize, FineColumns), wholeExperts ? sizes.ExpertCount : 0,
            CutsExperts(sizes, wholeExperts) ? Units(sizes.ExpertFfnSize, FinestColumns(sizes)) : 0,
            Units(sizes.VocabularySize, RowGroup.Rows), RankShares.MaxRanks,
        ];
        return most.Where(ranks => ranks > 0).Min();
    }

    /// <summary>One line that says why the split is impossible; null if it is possible.</summary>
    public static string? FirstProblem(SplitSizes sizes, RankShares shares)
    {
        if (SizeProblem(sizes) is { } problem) return problem;
        if (sizes.HeadCount > 0 && shares.Count > sizes.HeadCount) return $"{shares.Count} ranks cannot share {sizes.HeadCount} query heads";
        if (sizes.LinearSize > 0 && shares.Count > Units(sizes.LinearSize, FineColumns))
            return $"{shares.Count} ranks cannot share a matrix of {sizes.LinearSize} columns in attention's place, each at least {FineColumns} columns";
        if (sizes.FfnSize > 0 && shares.Count > Units(sizes.FfnSize, FineColumns))
            return $"{shares.Count} ranks cannot share a feed-forward of {sizes.FfnSize}, each at least {FineColumns} columns";
        if (shares.WholeExperts && sizes.ExpertCount == 0) return "there are no experts to give to ranks whole";
        if (shares.WholeExperts && shares.Count > sizes.ExpertCount) return $"{shares.Count} ranks cannot each have whole experts of {sizes.ExpertCount}";
        if (CutsExperts(sizes, shares.WholeExperts) && shares.Count > Units(sizes.ExpertFfnSize, FinestColumns(sizes)))
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
        var hasAttention = sizes.HeadCount != 0 || sizes.KvHeadCount != 0;
        if (hasAttention && (sizes.HeadCount < 1 || sizes.KvHeadCount < 1 || sizes.HeadCount % sizes.KvHeadCount != 0))
            return $"{sizes.HeadCount} query heads cannot share {sizes.KvHeadCount} KV heads";
        if (sizes.FfnSize < 0 || sizes.LinearSize < 0 || sizes.VocabularySize < 1)
            return $"a feed-forward of {sizes.FfnSize} or a vocabulary of {sizes.VocabularySize} cannot be split";
        return sizes.ColumnBlock < 1 || (sizes.ColumnBlock > FineColumns && sizes.ColumnBlock % FineColumns != 0)
            ? $"columns cannot be stored in blocks of {sizes.ColumnBlock}"
            : null;
    }

    /// <summary>Whether ranks share the columns of an expert.</summary>
    static bool CutsExperts(SplitSizes sizes, bool wholeExperts) => sizes.ExpertFfnSize > 0 && (!wholeExperts || sizes.HasSharedExpert);

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

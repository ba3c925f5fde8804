namespace LlamaCluster.Planning.Plans;

/// <summary>Consecutive layers of a model.</summary>
/// <param name="First">From 0.</param>
public readonly record struct LayerRange(int First, int Count)
{
    /// <summary>The layer after the last one.</summary>
    public int End => checked(First + Count);

    public override string ToString() => Count == 1 ? $"layer {First}" : $"layers {First}..{End - 1}";
}

/// <summary>
/// The shares of a stage's ranks, in proportion: 2 and 1 mean two thirds and one third; and whether experts are given to them whole. Shares are kept
/// in lowest terms, so that equal divisions are equal values. There is at least one rank.
/// </summary>
public sealed class RankShares : IEquatable<RankShares>
{
    public const int MaxRanks = 256;
    public const int MaxShare = 1 << 20;

    readonly int[] _shares;

    RankShares(int[] shares, bool wholeExperts = false) => (_shares, WholeExperts) = (shares, wholeExperts);

    /// <summary>One rank that has everything.</summary>
    public static RankShares Whole { get; } = Equal(1);

    public int Count => _shares.Length;

    public int this[int rank] => _shares[rank];

    public IReadOnlyList<int> Values => _shares;

    /// <summary>Each rank has some of the experts whole, in proportion to its share. False: it has some columns of every expert.</summary>
    public bool WholeExperts { get; }

    public bool AreEqual => Array.TrueForAll(_shares, share => share == 1);

    /// <exception cref="ArgumentOutOfRangeException">Not 1 to <see cref="MaxRanks"/> ranks.</exception>
    public static RankShares Equal(int rankCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rankCount, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rankCount, MaxRanks);
        var shares = new int[rankCount];
        Array.Fill(shares, 1);
        return new RankShares(shares);
    }

    /// <exception cref="ArgumentException">The shares are not valid; see <see cref="FirstProblem"/>.</exception>
    public static RankShares Of(params IReadOnlyList<int> shares)
    {
        if (FirstProblem(shares) is { } problem) throw new ArgumentException(problem, nameof(shares));
        var divisor = shares.Aggregate(GreatestDivisor);
        return new RankShares([.. shares.Select(share => share / divisor)]);
    }

    /// <summary>The same shares with experts given to ranks whole, or cut by columns. One rank has all experts whole either way, and stays as it is.</summary>
    public RankShares WithExperts(bool whole) => whole == WholeExperts || Count == 1 ? this : new RankShares(_shares, whole);

    /// <summary>One line that says why the shares are not valid; null if they are.</summary>
    public static string? FirstProblem(IReadOnlyList<int> shares)
    {
        if (shares.Count is 0 or > MaxRanks) return $"there are shares for {shares.Count} ranks, not 1 to {MaxRanks}";
        for (var rank = 0; rank < shares.Count; rank++)
            if (shares[rank] is < 1 or > MaxShare) return $"rank {rank} has a share of {shares[rank]}, not 1 to {MaxShare}";
        return null;
    }

    public bool Equals(RankShares? other) => other is not null && WholeExperts == other.WholeExperts && _shares.AsSpan().SequenceEqual(other._shares);

    public override bool Equals(object? obj) => Equals(obj as RankShares);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var share in _shares) hash.Add(share);
        hash.Add(WholeExperts);
        return hash.ToHashCode();
    }

    /// <summary>What each rank has of experts, in one word: all of them, some whole ones, or columns of every one.</summary>
    public string ExpertsWord => Count == 1 ? "all" : WholeExperts ? "whole" : "columns";

    public override string ToString() => $"{string.Join(':', _shares)}{(WholeExperts ? " of whole experts" : "")}";

    /// <summary>The greatest common divisor of two numbers that are not both 0.</summary>
    internal static int GreatestDivisor(int a, int b) => b == 0 ? a : GreatestDivisor(b, a % b);
}

/// <summary>A worker's place in the tensor group that shares a stage's layers.</summary>
/// <param name="Rank">From 0.</param>
/// <param name="Shares">The shares of all ranks of the group; every rank knows the same ones.</param>
public readonly record struct TensorSlice(int Rank, RankShares Shares)
{
    /// <summary>A rank of a group with equal shares.</summary>
    public TensorSlice(int rank, int rankCount) : this(rank, RankShares.Equal(rankCount)) { }

    public static TensorSlice Whole { get; } = new(0, RankShares.Whole);

    /// <summary>1 where layers are not split.</summary>
    public int RankCount => Shares.Count;

    public bool IsWhole => RankCount == 1;
}

/// <summary>What one worker holds: a range of layers, and a slice of each of them.</summary>
public readonly record struct Shard(LayerRange Layers, TensorSlice Slice)
{
    public override string ToString() => Slice.IsWhole ? $"{Layers}" : $"{Layers}, rank {Slice.Rank} of {Slice.RankCount}";
}

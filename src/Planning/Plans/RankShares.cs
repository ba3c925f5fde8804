namespace LlamaCluster.Planning.Plans;

/// <summary>
/// How much of a stage each rank of its tensor group takes, in proportion: 2 and 1 are two thirds and one third. In lowest terms, so that
/// equal divisions are equal values. At least one rank.
/// </summary>
public sealed class RankShares : IEquatable<RankShares>
{
    public const int MaxRanks = 256;
    public const int MaxShare = 1 << 20;

    readonly int[] _shares;

    RankShares(int[] shares) => _shares = shares;

    /// <summary>One rank, which has all.</summary>
    public static RankShares Whole { get; } = Equal(1);

    public int Count => _shares.Length;

    public int this[int rank] => _shares[rank];

    public IReadOnlyList<int> Values => _shares;

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

    /// <exception cref="ArgumentException">The shares are none; see <see cref="FirstProblem"/>.</exception>
    public static RankShares Of(params IReadOnlyList<int> shares)
    {
        if (FirstProblem(shares) is { } problem) throw new ArgumentException(problem, nameof(shares));
        var divisor = shares.Aggregate(GreatestDivisor);
        return new RankShares([.. shares.Select(share => share / divisor)]);
    }

    /// <summary>Why these are no shares, in one line; null if they are.</summary>
    public static string? FirstProblem(IReadOnlyList<int> shares)
    {
        if (shares.Count is 0 or > MaxRanks) return $"there are shares for {shares.Count} ranks, not 1 to {MaxRanks}";
        for (var rank = 0; rank < shares.Count; rank++)
            if (shares[rank] is < 1 or > MaxShare) return $"rank {rank} has a share of {shares[rank]}, not 1 to {MaxShare}";
        return null;
    }

    public bool Equals(RankShares? other) => other is not null && _shares.AsSpan().SequenceEqual(other._shares);

    public override bool Equals(object? obj) => Equals(obj as RankShares);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var share in _shares) hash.Add(share);
        return hash.ToHashCode();
    }

    public override string ToString() => string.Join(':', _shares);

    /// <summary>Of two numbers that are not both 0.</summary>
    internal static int GreatestDivisor(int a, int b) => b == 0 ? a : GreatestDivisor(b, a % b);
}

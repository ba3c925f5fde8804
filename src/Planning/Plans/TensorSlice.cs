namespace LlamaCluster.Planning.Plans;

/// <summary>A worker's place in the tensor group that shares a stage's layers.</summary>
/// <param name="Rank">From 0.</param>
/// <param name="Shares">What each rank of the group takes; the same for all of them.</param>
public readonly record struct TensorSlice(int Rank, RankShares Shares)
{
    /// <summary>A rank of a group whose ranks all take the same.</summary>
    public TensorSlice(int rank, int rankCount) : this(rank, RankShares.Equal(rankCount)) { }

    public static TensorSlice Whole { get; } = new(0, RankShares.Whole);

    /// <summary>1 where layers are not split.</summary>
    public int RankCount => Shares.Count;

    public bool IsWhole => RankCount == 1;
}

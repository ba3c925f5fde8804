namespace LlamaCluster.Cluster.Plans;

/// <summary>A worker's place in the tensor group that shares a stage's layers.</summary>
/// <param name="Rank">From 0.</param>
/// <param name="RankCount">1 where layers are not split.</param>
public readonly record struct TensorSlice(int Rank, int RankCount)
{
    public static TensorSlice Whole { get; } = new(0, 1);

    public bool IsWhole => RankCount == 1;
}

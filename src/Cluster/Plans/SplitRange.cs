namespace LlamaCluster.Cluster.Plans;

/// <summary>Consecutive things out of many: heads, columns, rows.</summary>
/// <param name="First">From 0.</param>
/// <param name="Count">At least 1.</param>
public readonly record struct SplitRange(int First, int Count)
{
    /// <summary>The one after the last.</summary>
    public int End => First + Count;
}

namespace LlamaCluster.Primitives;

/// <summary>Consecutive heads, columns or rows.</summary>
/// <param name="First">From 0.</param>
public readonly record struct IndexRange(int First, int Count)
{
    /// <summary>The one after the last.</summary>
    public int End => checked(First + Count);

    public bool IsWithin(int total) => First >= 0 && Count >= 1 && Count <= total - First;
}

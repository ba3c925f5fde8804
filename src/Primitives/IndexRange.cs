namespace LlamaCluster.Primitives;

/// <summary>Consecutive heads, columns or rows.</summary>
/// <param name="First">From 0.</param>
public readonly record struct IndexRange(int First, int Count)
{
    /// <summary>The index after the last one.</summary>
    public int End => checked(First + Count);

    /// <summary>Whether the range is not empty and lies within 0 to <paramref name="total"/>.</summary>
    public bool IsWithin(int total) => First >= 0 && Count >= 1 && (long)First + Count <= total;
}

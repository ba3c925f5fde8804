namespace LlamaCluster.Planning.Plans;

/// <summary>Consecutive layers of a model.</summary>
/// <param name="First">From 0.</param>
public readonly record struct LayerRange(int First, int Count)
{
    /// <summary>The layer after the last one.</summary>
    public int End => checked(First + Count);

    public override string ToString() => Count == 1 ? $"layer {First}" : $"layers {First}..{End - 1}";
}

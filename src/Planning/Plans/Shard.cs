namespace LlamaCluster.Planning.Plans;

/// <summary>What one worker holds: a range of layers, and a slice of each of them.</summary>
public readonly record struct Shard(LayerRange Layers, TensorSlice Slice)
{
    public override string ToString() => Slice.IsWhole ? $"{Layers}" : $"{Layers}, rank {Slice.Rank} of {Slice.RankCount}";
}

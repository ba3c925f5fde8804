namespace LlamaCluster.Kernels.Attention;

/// <summary>What one thread needs to attend with up to N queries at a time. Pointers into one piece of memory.</summary>
readonly unsafe struct AttentionScratch
{
    public AttentionScratch(float* memory, KvBlockLayout layout, int queries)
    {
        Queries = memory;
        Weights = Queries + (queries * layout.HeadSize);
        ScaledWeights = Weights + (queries * AttentionKernel.TilePositions);
        Total = AttentionState.At(ScaledWeights + (queries * AttentionKernel.TilePositions), layout, queries);
        Part = AttentionState.At(Total.Sum + queries, layout, queries);
    }

    /// <summary>[N, E], as <see cref="AttentionKernel.TakeQueries"/> leaves them.</summary>
    public float* Queries { get; }

    /// <summary>[N, 64] scores of a tile of positions, then their weights e^(score - max), times the KV type's unit.</summary>
    public float* Weights { get; }

    /// <summary>[N, 64] weights times value scales, of the scale group at work.</summary>
    public float* ScaledWeights { get; }

    /// <summary>Of the partitions done.</summary>
    public AttentionState Total { get; }

    /// <summary>Of the partition at work.</summary>
    public AttentionState Part { get; }

    /// <summary>Floats that this takes.</summary>
    public static long Length(KvBlockLayout layout, int queries) => checked(
        ((long)queries * (layout.HeadSize + (2 * AttentionKernel.TilePositions))) + (2 * AttentionState.Length(layout, queries)));
}

namespace LlamaCluster.Primitives;

/// <summary>The unit of the KV cache: consecutive positions of one sequence, in every layer, under the same id on every worker of a replica.</summary>
public static class KvBlock
{
    /// <summary>Positions that a block holds.</summary>
    public const int Positions = 16;

    /// <summary>The number of blocks that a number of positions needs.</summary>
    public static int CountFor(int positions) => (positions + Positions - 1) / Positions;
}

namespace LlamaCluster.Kernels.Attention;

/// <summary>Where the head tiles (<see cref="KvBlockLayout"/>) of one kv head of one sequence are, in one layer.</summary>
/// <param name="first">Head tile of block id 0.</param>
/// <param name="blockBytes">From a block id's head tile to the next id's.</param>
/// <param name="blocks">The sequence's block ids, in the order of its positions.</param>
readonly unsafe struct KvHead(byte* first, long blockBytes, int[] blocks)
{
    readonly byte* _first = first;

    public byte* Tile(int block) => _first + (blocks[block] * blockBytes);
}

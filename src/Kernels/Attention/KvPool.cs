namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// The KV cache of a stage: <c>[layers, blocks]</c> blocks of 16 positions (<see cref="KvBlockLayout"/>), allocated once. Which sequence
/// has which blocks is known to others; a block is valid as far as its sequence has been stored.
/// </summary>
public sealed unsafe class KvPool(KvBlockLayout layout, int layers, int blocks) : IDisposable
{
    readonly NativeBuffer<byte> _memory = layout.HeadSize % 2 == 0
        ? new(checked(layout.Bytes * layers * blocks))
        : throw new ArgumentException($"heads of {layout.HeadSize}: two dimensions are read at a time, the number must be even", nameof(layout));

    public KvBlockLayout Layout { get; } = layout;

    public int Layers { get; } = layers;

    public int Blocks { get; } = blocks;

    public long Bytes => _memory.Bytes;

    /// <summary>Block <paramref name="target"/> holds what block <paramref name="source"/> holds, in every layer.</summary>
    public void Copy(int source, int target)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)source, (uint)Blocks);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)target, (uint)Blocks);
        for (var layer = 0; layer < Layers; layer++)
            Buffer.MemoryCopy(HeadTile(layer, source, 0), HeadTile(layer, target, 0), Layout.Bytes, Layout.Bytes);
    }

    /// <summary>Bytes of one block over all layers, as <see cref="CopyOut"/> gives them.</summary>
    public int BlockBytes { get; } = checked((int)(layout.Bytes * layers));

    /// <summary>What a block holds, layer after layer.</summary>
    /// <param name="destination">[<see cref="BlockBytes"/>]</param>
    public void CopyOut(int block, Span<byte> destination)
    {
        CheckWhole(block, destination.Length);
        for (var layer = 0; layer < Layers; layer++) Part(layer, block).CopyTo(destination[(layer * (int)Layout.Bytes)..]);
    }

    /// <summary>The block holds from now on what another one, of any pool of this layout, held when it was copied out.</summary>
    /// <param name="source">[<see cref="BlockBytes"/>]</param>
    public void CopyIn(int block, ReadOnlySpan<byte> source)
    {
        CheckWhole(block, source.Length);
        for (var layer = 0; layer < Layers; layer++) source.Slice(layer * (int)Layout.Bytes, (int)Layout.Bytes).CopyTo(Part(layer, block));
    }

    public void Dispose() => _memory.Dispose();

    internal KvHead Head(int layer, int head, int[] sequenceBlocks) => new(HeadTile(layer, 0, head), Layout.Bytes, sequenceBlocks);

    internal byte* HeadTile(int layer, int block, int head) =>
        _memory.Pointer + (((long)layer * Blocks + block) * Layout.Bytes) + (head * Layout.HeadBytes);

    Span<byte> Part(int layer, int block) => _memory.Span(((long)layer * Blocks + block) * Layout.Bytes, (int)Layout.Bytes);

    void CheckWhole(int block, int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)block, (uint)Blocks);
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes, BlockBytes);
    }
}

/// <summary>Where the head tiles (<see cref="KvBlockLayout"/>) of one kv head of one sequence are, in one layer.</summary>
/// <param name="first">Head tile of block id 0.</param>
/// <param name="blockBytes">From a block id's head tile to the next id's.</param>
/// <param name="blocks">The sequence's block ids, in the order of its positions.</param>
readonly unsafe struct KvHead(byte* first, long blockBytes, int[] blocks)
{
    readonly byte* _first = first;

    public byte* Tile(int block) => _first + (blocks[block] * blockBytes);
}

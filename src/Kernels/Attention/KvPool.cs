namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// The KV cache of a stage: <c>[layers, blocks]</c> blocks of 16 positions (<see cref="KvBlockLayout"/>), allocated once. Which sequence
/// has which blocks is known to others; a block is valid as far as its sequence has been stored.
/// </summary>
public sealed unsafe class KvPool(KvBlockLayout layout, int layers, int blocks) : IDisposable
{
    readonly NativeBuffer<byte> _memory = new(checked(layout.Bytes * layers * blocks));

    public KvBlockLayout Layout { get; } = layout;

    public int Layers { get; } = layers;

    public int Blocks { get; } = blocks;

    public long Bytes => _memory.Bytes;

    public void Dispose() => _memory.Dispose();

    internal KvHead Head(int layer, int head, int[] sequenceBlocks) => new(HeadTile(layer, 0, head), Layout.Bytes, sequenceBlocks);

    internal byte* HeadTile(int layer, int block, int head) =>
        _memory.Pointer + (((long)layer * Blocks + block) * Layout.Bytes) + (head * Layout.HeadBytes);
}

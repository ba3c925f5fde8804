namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// The KV cache of a stage: <c>[layers, blocks]</c> blocks of 16 positions (<see cref="KvBlockLayout"/>), allocated once. Which sequence
/// has which blocks is known to others; a block is valid as far as its sequence has been stored.
/// </summary>
public sealed unsafe class KvPool : IDisposable
{
    readonly KvLayer[] _layers;
    bool _isTaken;

    public KvPool(KvBlockLayout layout, int layers, int blocks) : this(blocks, _ => new KvLayer(layout, blocks), layers)
    {
    }

    /// <param name="layer">Gives each layer, from 0 on, with as many blocks. Layers may differ in their layout. The pool owns them from now on.</param>
    public KvPool(int blocks, Func<int, KvLayer> layer, int layers)
    {
        _layers = new KvLayer[layers];
        for (var i = 0; i < layers; i++) _layers[i] = layer(i);
        (Blocks, BlockBytes) = (blocks, checked((int)_layers.Sum(one => one.Layout.Bytes)));
    }

    public int Layers => _layers.Length;

    public int Blocks { get; }

    public long Bytes => (long)BlockBytes * Blocks;

    public KvBlockLayout LayoutOf(int layer) => _layers[layer].Layout;

    /// <summary>Block <paramref name="target"/> holds what block <paramref name="source"/> holds, in every layer.</summary>
    public void Copy(int source, int target)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)source, (uint)Blocks);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)target, (uint)Blocks);
        for (var layer = 0; layer < Layers; layer++) Part(layer, source).CopyTo(Part(layer, target));
    }

    /// <summary>Bytes of one block over all layers, as <see cref="CopyOut"/> gives them.</summary>
    public int BlockBytes { get; }

    /// <summary>What a block holds, layer after layer.</summary>
    /// <param name="destination">[<see cref="BlockBytes"/>]</param>
    public void CopyOut(int block, Span<byte> destination)
    {
        CheckWhole(block, destination.Length);
        for (var layer = 0; layer < Layers; layer++)
        {
            var part = Part(layer, block);
            part.CopyTo(destination);
            destination = destination[part.Length..];
        }
    }

    /// <summary>The block holds from now on what another one, of any pool of these layouts, held when it was copied out.</summary>
    /// <param name="source">[<see cref="BlockBytes"/>]</param>
    public void CopyIn(int block, ReadOnlySpan<byte> source)
    {
        CheckWhole(block, source.Length);
        for (var layer = 0; layer < Layers; layer++)
        {
            var part = Part(layer, block);
            source[..part.Length].CopyTo(part);
            source = source[part.Length..];
        }
    }

    /// <summary>The layers with all that they hold, for another pool. Nothing more can be done with this one.</summary>
    public IReadOnlyList<KvLayer> TakeLayers()
    {
        ObjectDisposedException.ThrowIf(_isTaken, this);
        _isTaken = true;
        return _layers;
    }

    public void Dispose()
    {
        if (_isTaken) return;
        foreach (var layer in _layers) layer.Dispose();
    }

    internal KvHead Head(int layer, int head, int[] sequenceBlocks, int firstBlock = 0) =>
        new(HeadTile(layer, 0, head), LayoutOf(layer).Bytes, sequenceBlocks, firstBlock);

    internal byte* HeadTile(int layer, int block, int head)
    {
        var layout = LayoutOf(layer);
        return _layers[layer].Memory.Pointer + (block * layout.Bytes) + (head * layout.HeadBytes);
    }

    Span<byte> Part(int layer, int block) => _layers[layer].Block(block);

    void CheckWhole(int block, int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)block, (uint)Blocks);
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes, BlockBytes);
    }
}

/// <summary>The KV of one layer: <c>[blocks]</c>. It can outlive the pool that it was made for.</summary>
public sealed class KvLayer(KvBlockLayout layout, int blocks) : IDisposable
{
    public KvBlockLayout Layout { get; } = layout.HeadSize % 2 == 0
        ? layout
        : throw new ArgumentException($"heads of {layout.HeadSize}: two dimensions are read at a time, the number must be even", nameof(layout));

    public int Blocks => blocks;

    public long Bytes => Memory.Bytes;

    internal NativeBuffer<byte> Memory { get; } = new(checked(layout.Bytes * blocks));

    /// <summary>What a block holds: [<see cref="KvBlockLayout.Bytes"/>].</summary>
    public Span<byte> Block(int block) => Memory.Span(block * layout.Bytes, (int)layout.Bytes);

    /// <summary>A layer of another number of blocks, in place of this one. Blocks that both have hold what they held.</summary>
    public KvLayer Resize(int count)
    {
        if (count == blocks) return this;
        var resized = new KvLayer(layout, count);
        for (var block = 0; block < Math.Min(count, blocks); block++)
            Block(block).CopyTo(resized.Block(block));
        Dispose();
        return resized;
    }

    public void Dispose() => Memory.Dispose();
}

/// <summary>Where the head tiles (<see cref="KvBlockLayout"/>) of one kv head of one sequence are, in one layer.</summary>
/// <param name="first">Head tile of block id 0.</param>
/// <param name="blockBytes">From a block id's head tile to the next id's.</param>
/// <param name="blocks">The sequence's block ids, in the order of its positions.</param>
/// <param name="firstBlock">Which of them is called 0.</param>
readonly unsafe struct KvHead(byte* first, long blockBytes, int[] blocks, int firstBlock)
{
    readonly byte* _first = first;

    public byte* Tile(int block) => _first + (blocks[firstBlock + block] * blockBytes);
}

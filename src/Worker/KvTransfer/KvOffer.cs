using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.KvDisk;

namespace LlamaCluster.Worker.KvTransfer;

/// <summary>
/// KV of a view that is over, for the workers that have its layers from now on. Safe for concurrent use: it can be taken back while it is read.
/// </summary>
/// <param name="kept">Owned from now on.</param>
/// <param name="numbers">What they depend on.</param>
sealed class KvOffer(KeptKv kept, ShardIdentity numbers)
{
    readonly Lock _guard = new();
    KeptKv? _kept = kept;

    public RanViews Views { get; } = kept.Views;

    public ShardIdentity Numbers => numbers;

    /// <summary>Bytes of memory.</summary>
    public long Bytes { get; } = kept.Blocks.Bytes;

    /// <inheritdoc cref="Model.Sequences.KeptBlocks.BlockBytes"/>
    public long? BlockBytes(int firstLayer, int endLayer)
    {
        lock (_guard) return _kept?.Blocks.BlockBytes(firstLayer, endLayer);
    }

    /// <inheritdoc cref="Model.Sequences.KeptBlocks.TryCopyOut"/>
    public bool TryCopyOut(int block, int firstLayer, int endLayer, Span<byte> destination)
    {
        lock (_guard) return _kept?.Blocks.TryCopyOut(block, firstLayer, endLayer, destination) ?? false;
    }

    /// <summary>Nobody can read it any more.</summary>
    /// <returns>Null if it has been taken back already.</returns>
    public KeptKv? TakeBack()
    {
        lock (_guard)
        {
            var back = _kept;
            _kept = null;
            return back;
        }
    }
}

using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels.Products;

/// <summary>
/// Asks for weights before they are needed, where several rows of activations meet each block. With one row it takes the place of reading, and
/// <see cref="PagesAhead"/> is enough.
/// </summary>
static unsafe class WeightsAhead<TFormat, TLanes, V> where TFormat : IQuantFormat where TLanes : ILanes<V> where V : struct
{
    /// <summary>
    /// How far ahead. The processor's own prefetching stops at each page and lags where rows of activations come between.
    /// </summary>
    const int Bytes = 8192;

    /// <summary>A block, and the header that follows it where each block has one.</summary>
    /// <param name="block">The one that is needed now.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Fetch(byte* block)
    {
        var bytes = QuantLayout<TFormat>.BlockBytes + (TFormat.BlocksPerHeader == 1 ? QuantLayout<TFormat>.HeaderBytes : 0);
        for (var i = 0; i < bytes; i += 64) TLanes.Prefetch(block + Bytes + i);
        PagesAhead.Fetch<TLanes, V>(block);
    }
}

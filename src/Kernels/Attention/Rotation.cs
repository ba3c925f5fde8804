using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// An orthonormal Walsh-Hadamard transform of a head. It spreads what stands out in few dimensions over all of them, so that a group's scale suits most of its
/// numbers (as in https://arxiv.org/abs/2404.00456). It is its own inverse, and a product of two rotated heads is that of the two.
/// <para>
/// A head of 16 m dimensions is rotated in pieces of 16 times the greatest power of two that divides m; dimensions behind the last 16 stay as they are.
/// </para>
/// </summary>
static unsafe class Rotation<TLanes>
    where TLanes : unmanaged, IFloatLanes<TLanes>
{
    const int Lanes = LaneMath<TLanes>.Count;

    /// <summary>-1 for the lanes whose bit 0 is set, then those of bits 1, 2 and 3.</summary>
    static ReadOnlySpan<float> Signs =>
    [
        1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1,
        1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1,
        1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1,
        1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1,
    ];

    /// <summary>Rotates a head in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Apply(float* head, int size)
    {
        var vectors = size / Lanes;
        if (vectors == 0) return;
        var piece = vectors & -vectors;
        for (var distance = 1; distance < piece; distance *= 2)
            for (var v = 0; v < vectors; v++)
                if ((v & distance) == 0) AddAndSubtract(head + (v * Lanes), head + ((v + distance) * Lanes));

        var signs = (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(Signs));
        TLanes ones = TLanes.Load(signs), twos = TLanes.Load(signs + Lanes);
        TLanes fours = TLanes.Load(signs + (2 * Lanes)), eights = TLanes.Load(signs + (3 * Lanes));
        var norm = TLanes.Broadcast(1 / MathF.Sqrt(piece * Lanes));
        for (var v = 0; v < vectors; v++)
        {
            var x = TLanes.Load(head + (v * Lanes));
            x = TLanes.MultiplyAdd(x, ones, TLanes.SwapPairs(x));
            x = TLanes.MultiplyAdd(x, twos, TLanes.SwapTwos(x));
            x = TLanes.MultiplyAdd(x, fours, TLanes.SwapFours(x));
            x = TLanes.MultiplyAdd(x, eights, TLanes.SwapEights(x));
            TLanes.Store(x * norm, head + (v * Lanes));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void AddAndSubtract(float* first, float* second)
    {
        TLanes a = TLanes.Load(first), b = TLanes.Load(second);
        TLanes.Store(a + b, first);
        TLanes.Store(a - b, second);
    }
}

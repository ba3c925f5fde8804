using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels.Formats;

/// <summary>bfloat16, the upper half of a single.</summary>
readonly unsafe struct BF16Format : IFloatFormat
{
    public static int Bytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsFinite(byte* weight) => (Unsafe.ReadUnaligned<ushort>(weight) & 0x7f80) != 0x7f80;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<TLanes, V>(byte* weights) where TLanes : ILanes<V> where V : struct =>
        TLanes.ShiftLeft(TLanes.LoadShorts(weights), 16);
}

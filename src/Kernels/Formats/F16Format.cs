using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels.Formats;

/// <summary>IEEE half.</summary>
readonly unsafe struct F16Format : IFloatFormat
{
    public static int Bytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsFinite(byte* weight) => (Unsafe.ReadUnaligned<ushort>(weight) & 0x7c00) != 0x7c00;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<TLanes, V>(byte* weights) where TLanes : ILanes<V> where V : struct => HalfLanes<TLanes, V>.Load(weights);
}

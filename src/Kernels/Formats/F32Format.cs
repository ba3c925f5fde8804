using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels.Formats;

/// <summary>IEEE single.</summary>
readonly unsafe struct F32Format : IFloatFormat
{
    public static int Bytes => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsFinite(byte* weight) => float.IsFinite(Unsafe.ReadUnaligned<float>(weight));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load<TLanes, V>(byte* weights) where TLanes : ILanes<V> where V : struct => TLanes.Load(weights);
}

using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary><see cref="KvType.F32"/>.</summary>
readonly unsafe struct KvF32 : IKvFormat
{
    public static bool Scaled => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(byte* numbers, int index)
        where TLanes : unmanaged, IFloatLanes<TLanes> => TLanes.Load((float*)numbers + index);

    public static void Store(float* source, int count, byte* numbers, int index, int stride, ushort* scale)
    {
        var destination = (float*)numbers + index;
        for (var i = 0; i < count; i++) destination[i * stride] = source[i];
    }
}

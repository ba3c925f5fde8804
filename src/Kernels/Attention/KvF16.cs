using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary><see cref="KvType.F16"/>.</summary>
readonly unsafe struct KvF16 : IKvFormat
{
    public static bool Scaled => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(byte* numbers, int index)
        where TLanes : unmanaged, IFloatLanes<TLanes> => TLanes.LoadNormalHalf((ushort*)numbers + index);

    public static void Store(float* source, int count, byte* numbers, int index, int stride, ushort* scale)
    {
        var destination = (ushort*)numbers + index;
        for (var i = 0; i < count; i++) destination[i * stride] = HalfBits.FromSingle(source[i]);
    }
}

using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Kernels.Attention;

/// <summary><see cref="KvType.F32"/>.</summary>
readonly unsafe struct KvF32 : IKvFormat
{
    public static bool Scaled => false;

    public static int Bytes => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Load<TLanes>(byte* numbers, int index)
        where TLanes : unmanaged, IFloatLanes<TLanes> => TLanes.Load((float*)numbers + index);

    public static float Scale(float* source, int count, ushort* scale) => 1;

    public static void Store(float number, byte* numbers, int index) => ((float*)numbers)[index] = number;
}

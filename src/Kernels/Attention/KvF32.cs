using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary><see cref="KvType.F32"/>.</summary>
readonly unsafe struct KvF32 : IKvFormat
{
    public static bool Scaled => false;

    public static int Bytes => 4;

    public static float Unit => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load<TLanes>(byte* pair, out TLanes first, out TLanes second)
        where TLanes : unmanaged, IFloatLanes<TLanes>
    {
        first = TLanes.Load((float*)pair);
        second = TLanes.Load((float*)pair + KvBlock.Positions);
    }

    public static float Scale(float* source, int count, ushort* scale) => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float number, byte* numbers, int vector, int lane) => ((float*)numbers)[(vector * KvBlock.Positions) + lane] = number;
}

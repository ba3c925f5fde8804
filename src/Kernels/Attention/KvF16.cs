using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary><see cref="KvType.F16"/>.</summary>
readonly unsafe struct KvF16 : IKvFormat
{
    public static bool Scaled => false;

    public static int Bytes => 2;

    public static float Unit => HalfBits.Unit;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Load<TLanes>(byte* pair, out TLanes first, out TLanes second)
        where TLanes : unmanaged, IFloatLanes<TLanes> => TLanes.LoadHalfPairs((ushort*)pair, out first, out second);

    public static float Scale(float* source, int count, ushort* scale) => 1;

    /// <summary>The numbers of two vectors stand in pairs, lane by lane, so that one register holds both.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float number, byte* numbers, int vector, int lane) =>
        ((ushort*)numbers)[(((vector & ~1) * KvBlock.Positions) + (2 * lane)) | (vector & 1)] = HalfBits.FromSingle(number);
}

using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>d (q - 16), 32 columns a block, the fifth bits of q apart.</summary>
readonly unsafe struct Q5_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 1;

    public static bool HasMinima => false;

    public static bool HasSubScales => false;

    public static int CodeBits => 5;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var (first, second) = StoredBits.Nibbles(stored[6..]);
        var high = BinaryPrimitives.ReadUInt32LittleEndian(stored[2..]);
        return new(first | StoredBits.Spread(high, 16), second | StoredBits.Spread(high >> 16, 16), StoredBits.Half(stored, 0));
    }

    public static float Value(int code, float scale, float min, (byte A, byte B) sub, bool secondHalf) =>
        scale * (code - 16);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* sub)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct => new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddOffset(total, TSums.Of5Bits(codes, x), scales.Scale, x, &x->Minus16ScaledSum);
}

using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>d q + m, 32 columns a block.</summary>
readonly unsafe struct Q4_1Format : IQuantFormat
{
    public static int BlocksPerHeader => 1;

    public static bool HasMinima => true;

    public static bool HasSubScales => false;

    public static int CodeBits => 4;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var (first, second) = StoredBits.Nibbles(stored[4..]);
        return new(first, second, StoredBits.Half(stored, 0), StoredBits.Half(stored, 2));
    }

    public static float Value(int code, float scale, float min, (byte A, byte B) sub, bool secondHalf) =>
        scale * code + min;

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* sub)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct => new(scale, min);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddWithMin(total, TSums.Of4Bits(codes, x), scales.Scale, scales.Min, x);
}

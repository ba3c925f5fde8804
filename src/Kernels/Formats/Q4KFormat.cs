using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Decoding;
using LlamaCluster.Kernels.Lanes;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>d s q - dmin m with s and m of 32 columns each, 256 columns a block.</summary>
readonly unsafe struct Q4KFormat : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasMinima => true;

    public static bool HasSubScales => true;

    public static int CodeBits => 4;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var (scale, min) = SixBitScales.OfQ4K(stored.Slice(4, 12), block);
        var codes = stored.Slice(16 + block / 2 * 32, 32);
        var shift = block % 2 * 4;
        return new(
            StoredBits.Field(codes, shift, 15), StoredBits.Field(codes[16..], shift, 15),
            StoredBits.Half(stored, 0), StoredBits.Half(stored, 2), (byte)scale, (byte)min);
    }

    public static float Value(int code, float scale, float min, (byte A, byte B) sub, bool secondHalf) =>
        scale * sub.A * code - min * sub.B;

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* sub)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.ScalesWithMin(scale, min, sub);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddWithMin(total, TSums.Of4Bits(codes, x), scales.Scale, scales.Min, x);
}

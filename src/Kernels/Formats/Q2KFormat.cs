using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>d (s &amp; 15) q - dmin (s >> 4) with s of 16 columns, 256 columns a block.</summary>
readonly unsafe struct Q2KFormat : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasMinima => true;

    public static bool HasSubScales => true;

    public static int CodeBits => 2;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var codes = stored.Slice(16 + block / 4 * 32, 32);
        var shift = block % 4 * 2;
        return new(
            StoredBits.Field(codes, shift, 3), StoredBits.Field(codes[16..], shift, 3),
            StoredBits.Half(stored, 80), StoredBits.Half(stored, 82), stored[2 * block], stored[2 * block + 1]);
    }

    public static float Value(int code, float scale, float min, (byte A, byte B) sub, bool secondHalf) =>
        scale * ((secondHalf ? sub.B : sub.A) & 15) * code - min * ((secondHalf ? sub.B : sub.A) >> 4);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* sub)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        var (first, second) = (TLanes.LoadBytes(sub), TLanes.LoadBytes(sub + RowGroup.Rows));
        var mask = TLanes.Spread(15u);
        return new(
            scale,
            TLanes.MultiplySingle(min, TLanes.Spread(-1f)),
            TSums.SubScale(TLanes.And(first, mask)),
            TSums.SubScale(TLanes.And(second, mask)),
            TLanes.Or(TLanes.ShiftRight(first, 4), TLanes.ShiftLeft(TLanes.ShiftRight(second, 4), 16)));
    }

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        total = Terms<TLanes, V>.AddScaled(total, TSums.Scaled2Bits(codes, x, scales.First, scales.Second), scales.Scale, x);
        return Terms<TLanes, V>.AddScaled(total, TLanes.MultiplyAddShorts(scales.MinPairs, TLanes.Spread(x->HalfSums)), scales.Min, x);
    }
}

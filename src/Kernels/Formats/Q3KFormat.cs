using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Decoding;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// d s (q - 4) with s of 16 columns, 256 columns a block, the third bits of q apart. A kernel takes 8 q and d / 8, so that the offset is that of Q6_K.
/// </summary>
readonly unsafe struct Q3KFormat : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasMinima => false;

    public static bool HasSubScales => true;

    public static int CodeBits => 3;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var low = stored.Slice(32 + block / 4 * 32, 32);
        var scales = SixBitScales.PairOfQ3K(stored.Slice(96, 12), block);
        var shift = block % 4 * 2;
        return new(
            StoredBits.Field(low, shift, 3) | StoredBits.Field(stored, block, 1) << 2,
            StoredBits.Field(low[16..], shift, 3) | StoredBits.Field(stored[16..], block, 1) << 2,
            StoredBits.Half(stored, 108), 0, (byte)(scales - 32), (byte)((scales >> 8) - 32));
    }

    public static float Value(int code, float scale, float min, (byte A, byte B) sub, bool secondHalf) =>
        scale * (sbyte)(secondHalf ? sub.B : sub.A) * (code / 8 - 4);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* sub)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(TLanes.MultiplySingle(scale, TLanes.Spread(1 / 8f)), default,
            TSums.SubScale(TLanes.LoadSignedBytes(sub)), TSums.SubScale(TLanes.LoadSignedBytes(sub + RowGroup.Rows)));

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Scaled6Bits(codes, x, scales.First, scales.Second), scales.Scale, x);
}

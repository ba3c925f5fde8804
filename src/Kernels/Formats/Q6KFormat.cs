using System.Runtime.CompilerServices;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>d s (q - 32) with s of 16 columns, 256 columns a block, the upper two bits of q apart.</summary>
readonly unsafe struct Q6KFormat : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasMinima => false;

    public static bool HasSubScales => true;

    public static int CodeBits => 6;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        // Each half of the block, four of ours, has 64 bytes of low nibbles and 32 of upper bits.
        var (half, quarter) = Math.DivRem(block, 4);
        var low = stored.Slice(half * 64 + quarter % 2 * 32, 32);
        var high = stored.Slice(128 + half * 32, 32);
        var (lowShift, highShift) = (quarter / 2 * 4, quarter * 2);
        return new(
            StoredBits.Field(low, lowShift, 15) | StoredBits.Field(high, highShift, 3) << 4,
            StoredBits.Field(low[16..], lowShift, 15) | StoredBits.Field(high[16..], highShift, 3) << 4,
            StoredBits.Half(stored, 208), 0, stored[192 + 2 * block], stored[193 + 2 * block]);
    }

    public static float Value(int code, float scale, float min, (byte A, byte B) sub, bool secondHalf) =>
        scale * (sbyte)(secondHalf ? sub.B : sub.A) * (code - 32);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* sub)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(scale, default, TSums.SubScale(TLanes.LoadSignedBytes(sub)), TSums.SubScale(TLanes.LoadSignedBytes(sub + RowGroup.Rows)));

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Scaled6Bits(codes, x, scales.First, scales.Second), scales.Scale, x);
}

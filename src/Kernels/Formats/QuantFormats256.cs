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

    public static int SmallBytes => 2;

    public static int CodeBits => 2;

    public static bool HasScale => true;

    public static bool ScalesHalves => true;

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct => CodePlanes.Load<TLanes, TParts, V>(planes, CodeBits, out upper);

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var codes = stored.Slice(16 + block / 4 * 32, 32);
        var shift = block % 4 * 2;
        return new(
            StoredBits.Field(codes, shift, 3), StoredBits.Field(codes[16..], shift, 3),
            StoredBits.Half(stored, 80), StoredBits.Half(stored, 82), stored[2 * block], stored[2 * block + 1]);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * ((secondHalf ? small[RowGroup.Rows] : small[0]) & 15) * code - min * ((secondHalf ? small[RowGroup.Rows] : small[0]) >> 4);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        var (first, second) = (TLanes.LoadBytes(small), TLanes.LoadBytes(small + RowGroup.Rows));
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

/// <summary>
/// d s (q - 4) with s of 16 columns, 256 columns a block, the third bits of q apart. A kernel takes 8 q and d / 8, so that the offset is that of Q6_K.
/// </summary>
readonly unsafe struct Q3KFormat : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasMinima => false;

    public static int SmallBytes => 2;

    public static int CodeBits => 3;

    public static bool HasScale => true;

    public static bool ScalesHalves => true;

    public static BlockTerm Term => BlockTerm.Minus32Halves;

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct => CodePlanes.Load<TLanes, TParts, V>(planes, CodeBits, out upper);

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

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (sbyte)(secondHalf ? small[RowGroup.Rows] : small[0]) * (code / 8 - 4);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(TLanes.MultiplySingle(scale, TLanes.Spread(1 / 8f)), default,
            TSums.SubScale(TLanes.LoadSignedBytes(small)), TSums.SubScale(TLanes.LoadSignedBytes(small + RowGroup.Rows)));

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Scaled6Bits(codes, x, scales.First, scales.Second), scales.Scale, x);
}

/// <summary>d s q - dmin m with s and m of 32 columns each, 256 columns a block.</summary>
readonly unsafe struct Q4KFormat : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasMinima => true;

    public static int SmallBytes => 2;

    public static int CodeBits => 4;

    public static bool HasScale => true;

    public static bool ScalesHalves => false;

    public static BlockTerm Term => BlockTerm.WithMin;

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct => CodePlanes.Load<TLanes, TParts, V>(planes, CodeBits, out upper);

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

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * small[0] * code - min * small[RowGroup.Rows];

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.ScalesWithMin(scale, min, small);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddWithMin(total, TSums.Of4Bits(codes, x), scales.Scale, scales.Min, x);
}

/// <summary>d s q - dmin m with s and m of 32 columns each, 256 columns a block, the fifth bits of q apart.</summary>
readonly unsafe struct Q5KFormat : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasMinima => true;

    public static int SmallBytes => 2;

    public static int CodeBits => 5;

    public static bool HasScale => true;

    public static bool ScalesHalves => false;

    public static BlockTerm Term => BlockTerm.WithMin;

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct => CodePlanes.Load<TLanes, TParts, V>(planes, CodeBits, out upper);

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var (scale, min) = SixBitScales.OfQ4K(stored.Slice(4, 12), block);
        var codes = stored.Slice(48 + block / 2 * 32, 32);
        var high = stored.Slice(16, 32);
        var shift = block % 2 * 4;
        return new(
            StoredBits.Field(codes, shift, 15) | StoredBits.Field(high, block, 1) << 4,
            StoredBits.Field(codes[16..], shift, 15) | StoredBits.Field(high[16..], block, 1) << 4,
            StoredBits.Half(stored, 0), StoredBits.Half(stored, 2), (byte)scale, (byte)min);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * small[0] * code - min * small[RowGroup.Rows];

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.ScalesWithMin(scale, min, small);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddWithMin(total, TSums.Of5Bits(codes, x), scales.Scale, scales.Min, x);
}

/// <summary>d s (q - 32) with s of 16 columns, 256 columns a block, the upper two bits of q apart.</summary>
readonly unsafe struct Q6KFormat : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasMinima => false;

    public static int SmallBytes => 2;

    public static int CodeBits => 6;

    public static bool HasScale => true;

    public static bool ScalesHalves => true;

    public static BlockTerm Term => BlockTerm.Minus32Halves;

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct => CodePlanes.Load<TLanes, TParts, V>(planes, CodeBits, out upper);

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

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (sbyte)(secondHalf ? small[RowGroup.Rows] : small[0]) * (code - 32);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(scale, default, TSums.SubScale(TLanes.LoadSignedBytes(small)), TSums.SubScale(TLanes.LoadSignedBytes(small + RowGroup.Rows)));

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Scaled6Bits(codes, x, scales.First, scales.Second), scales.Scale, x);
}

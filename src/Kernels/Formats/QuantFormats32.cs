using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>d (q - 8), 32 columns a block.</summary>
readonly unsafe struct Q4_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 1;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 4;

    public static bool HasScale => true;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct => CodePlanes.Load<TLanes, TParts, V>(planes, CodeBits, out upper);

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var (first, second) = StoredBits.Nibbles(stored[2..]);
        return new(first, second, StoredBits.Half(stored, 0));
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (code - 8);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct => new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddOffset(total, TSums.Of4Bits(codes, x), scales.Scale, x, &x->Minus8ScaledSum);
}

/// <summary>d q + m, 32 columns a block.</summary>
readonly unsafe struct Q4_1Format : IQuantFormat
{
    public static int BlocksPerHeader => 1;

    public static bool HasMinima => true;

    public static int SmallBytes => 0;

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
        var (first, second) = StoredBits.Nibbles(stored[4..]);
        return new(first, second, StoredBits.Half(stored, 0), StoredBits.Half(stored, 2));
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * code + min;

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct => new(scale, min);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddWithMin(total, TSums.Of4Bits(codes, x), scales.Scale, scales.Min, x);
}

/// <summary>d (q - 16), 32 columns a block, the fifth bits of q apart.</summary>
readonly unsafe struct Q5_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 1;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 5;

    public static bool HasScale => true;

    public static bool ScalesHalves => false;

    public static BlockTerm Term => BlockTerm.Minus16;

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct => CodePlanes.Load<TLanes, TParts, V>(planes, CodeBits, out upper);

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var (first, second) = StoredBits.Nibbles(stored[6..]);
        var high = BinaryPrimitives.ReadUInt32LittleEndian(stored[2..]);
        return new(first | StoredBits.Spread(high, 16), second | StoredBits.Spread(high >> 16, 16), StoredBits.Half(stored, 0));
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (code - 16);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct => new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddOffset(total, TSums.Of5Bits(codes, x), scales.Scale, x, &x->Minus16ScaledSum);
}

/// <summary>d q + m, 32 columns a block, the fifth bits of q apart.</summary>
readonly unsafe struct Q5_1Format : IQuantFormat
{
    public static int BlocksPerHeader => 1;

    public static bool HasMinima => true;

    public static int SmallBytes => 0;

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
        var (first, second) = StoredBits.Nibbles(stored[8..]);
        var high = BinaryPrimitives.ReadUInt32LittleEndian(stored[4..]);
        var (scale, min) = (StoredBits.Half(stored, 0), StoredBits.Half(stored, 2));
        return new(first | StoredBits.Spread(high, 16), second | StoredBits.Spread(high >> 16, 16), scale, min);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * code + min;

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct => new(scale, min);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddWithMin(total, TSums.Of5Bits(codes, x), scales.Scale, scales.Min, x);
}

/// <summary>d q, 32 columns a block; the codes are q + 128.</summary>
readonly unsafe struct Q8_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 1;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 8;

    public static bool HasScale => true;

    public static bool ScalesHalves => false;

    public static BlockTerm Term => BlockTerm.Minus128;

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct => CodePlanes.Load<TLanes, TParts, V>(planes, CodeBits, out upper);

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var sign = Vector128.Create((byte)128);
        return new(Vector128.Create(stored.Slice(2, 16)) ^ sign, Vector128.Create(stored.Slice(18, 16)) ^ sign, StoredBits.Half(stored, 0));
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (code - 128);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct => new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Of8Bits(codes, upper, x), scales.Scale, x);
}

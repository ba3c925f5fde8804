using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>Tables of 16 bytes that kernels look codes up in.</summary>
static unsafe class CodeTables
{
    /// <summary>
    /// 128 + the values of <see cref="BlocksOfTables.Iq4Values"/>; their lower four bits; their upper four; the values' magnitudes; the values.
    /// </summary>
    public static byte* Iq4
    {
        [MethodImpl(AggressiveInlining)]
        get => Place(
        [
            1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241,
            1, 8, 13, 15, 15, 13, 10, 6, 1, 13, 9, 6, 5, 5, 9, 1,
            0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12, 13, 15,
            127, 104, 83, 65, 49, 35, 22, 10, 1, 13, 25, 38, 53, 69, 89, 113,
            129, 152, 173, 191, 207, 221, 234, 246, 1, 13, 25, 38, 53, 69, 89, 113,
        ]);
    }

    /// <summary>12 + the values of <see cref="BlocksOfTables.Fp4Values"/>.</summary>
    public static byte* Fp4
    {
        [MethodImpl(AggressiveInlining)]
        get => Place([12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0]);
    }

    /// <summary>Constants are part of the program and do not move.</summary>
    [MethodImpl(AggressiveInlining)]
    static byte* Place(ReadOnlySpan<byte> constants) => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(constants));
}

/// <summary>d times one of 16 values, 32 columns a block. Met as 8-bit codes, 128 + value.</summary>
readonly unsafe struct IQ4NLFormat : IQuantFormat
{
    public static int BlocksPerHeader => 1;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 4;

    public static bool ScalesHalves => false;

    public static BlockTerm Term => BlockTerm.Minus128;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var (first, second) = StoredBits.Nibbles(stored[2..]);
        return new(first, second, StoredBits.Half(stored, 0));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct =>
        Codes<V>.Lookup8Bits<TLanes, TParts>(CodePlanes.Load<TLanes, V>(planes, CodeBits), CodeTables.Iq4, out upper);

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (code - 128);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Of8Bits(codes, upper, x), scales.Scale, x);
}

/// <summary>d s times one of 16 values, with s of 32 columns, 256 columns a block. Met as 8-bit codes, 128 + value.</summary>
readonly unsafe struct IQ4XSFormat : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 1;

    public static int CodeBits => 4;

    public static bool ScalesHalves => false;

    public static BlockTerm Term => BlockTerm.Minus128;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var (first, second) = StoredBits.Nibbles(stored[(8 + 16 * block)..]);
        return new(first, second, StoredBits.Half(stored, 0), A: (byte)(BlocksOfTables.ScaleOfIQ4_XS(stored, block) - 32));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct =>
        Codes<V>.Lookup8Bits<TLanes, TParts>(CodePlanes.Load<TLanes, V>(planes, CodeBits), CodeTables.Iq4, out upper);

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (sbyte)small[0] * (code - 128);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(TLanes.MultiplySingle(scale, TLanes.ToSingle(TLanes.LoadSignedBytes(small))));

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Of8Bits(codes, upper, x), scales.Scale, x);
}

/// <summary>2^(e - 128) times twice an FP4 number, 32 columns a block. The byte A is e; met as codes 12 + value.</summary>
readonly unsafe struct MXFP4Format : IQuantFormat
{
    public static int BlocksPerHeader => 1;

    public static bool HasScale => false;

    public static bool HasMinima => false;

    public static int SmallBytes => 1;

    public static int CodeBits => 4;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        if (stored[0] == 255) throw new InvalidDataException("a block's scale is infinite or not a number");
        var (first, second) = StoredBits.Nibbles(stored[1..]);
        return new(first, second, 0, A: stored[0]);
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct
    {
        upper = default;
        return Codes<V>.Lookup<TLanes>(CodePlanes.Load<TLanes, V>(planes, CodeBits), CodeTables.Fp4);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        MathF.ScaleB(1, small[0] - 128) * (code - 12);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        // An exponent of 0 stands for 2^-127, of which the half is below a float's normal range as well.
        var negative = TLanes.Or(TLanes.ShiftLeft(TLanes.LoadBytes(small), 23), TLanes.Spread(0x8000_0000u));
        return new(TLanes.MultiplySingle(TLanes.MinSingle(negative, TLanes.Spread(0x8040_0000u)), TLanes.Spread(-0.5f)));
    }

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, Terms<TLanes, V>.Shifted(TSums.Of5Bits(codes, x), -12, x), scales.Scale, x);
}

/// <summary>
/// A UE4M3 number times an FP4 number, 64 columns a block, a scale for 16. A and B are the scales of both halves; met as codes 12 + twice the value.
/// </summary>
readonly unsafe struct NVFP4Format : IQuantFormat
{
    public static int BlocksPerHeader => 2;

    public static bool HasScale => false;

    public static bool HasMinima => false;

    public static int SmallBytes => 2;

    public static int CodeBits => 4;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var (low, high) = StoredBits.Nibbles(stored[(4 + 16 * block)..]);
        return new(
            Vector128.Create(low.GetLower(), high.GetLower()), Vector128.Create(low.GetUpper(), high.GetUpper()),
            0, A: Scale(stored[2 * block]), B: Scale(stored[2 * block + 1]));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct
    {
        upper = default;
        return Codes<V>.Lookup<TLanes>(CodePlanes.Load<TLanes, V>(planes, CodeBits), CodeTables.Fp4);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        BlocksOfTables.HalfOfUE4M3((byte)(small[secondHalf ? RowGroup.Rows : 0] | 0x80)) * (code - 12);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(Half<TLanes, V>(small), Half<TLanes, V>(small + RowGroup.Rows));

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        TSums.Halves5Bits(codes, x, out var first, out var second);
        var sums = TLanes.Spread(x->HalfSums);
        first = TLanes.Add(first, TLanes.MultiplyAddShorts(sums, TLanes.Spread(0xfff4u)));
        second = TLanes.Add(second, TLanes.MultiplyAddShorts(sums, TLanes.Spread(0xfff4_0000u)));
        return Terms<TLanes, V>.AddScaled(Terms<TLanes, V>.AddScaled(total, first, scales.Scale, x), second, scales.Min, x);
    }

    /// <summary>The eighth bit counts for nothing; 0x7f without it counts as zero.</summary>
    static byte Scale(byte stored) => stored == 0x7f ? (byte)0 : (byte)(stored & 0x7f);

    /// <summary>Halves of UE4M3 numbers: as <see cref="HalfLanes{TLanes, V}"/> does it, without a subnormal operand.</summary>
    [MethodImpl(AggressiveInlining)]
    static V Half<TLanes, V>(byte* scales) where TLanes : ILanes<V> where V : struct
    {
        var magnitude = TLanes.Add(TLanes.ShiftLeft(TLanes.LoadBytes(scales), 20), TLanes.Spread((127u - 7) << 23));
        var excess = TLanes.MinSingle(TLanes.AddSingle(magnitude, TLanes.Spread(-1 / 64f)), TLanes.Spread(0f));
        return TLanes.MultiplySingle(TLanes.AddSingle(magnitude, excess), TLanes.Spread(0.5f));
    }
}

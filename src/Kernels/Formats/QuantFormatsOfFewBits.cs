using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>d (q - 1), 256 columns a block.</summary>
readonly unsafe struct TQ2_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 2;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var codes = stored.Slice(block / 4 * 32, 32);
        var shift = block % 4 * 2;
        return new(StoredBits.Field(codes, shift, 3), StoredBits.Field(codes[16..], shift, 3), StoredBits.Half(stored, 64));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct =>
        CodePlanes.Load<TLanes, TParts, V>(planes, CodeBits, out upper);

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (code - 1);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, Terms<TLanes, V>.Shifted(TSums.Of4Bits(codes, x), -1, x), scales.Scale, x);
}

/// <summary>d (q - 1) with ternary q, 256 columns a block. Packed as 7 bytes for 32 columns: a word with five digits a byte, A, B and C with four.</summary>
readonly unsafe struct TQ1_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 3;

    public static int CodeBits => 1;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        // Columns j, 4 + j .. 16 + j in byte j of the word, 20..23 in A, 24..27 in B, 28..31 in C.
        var bytes = 0ul;
        for (var at = 0; at < 7; at++)
        {
            var (first, step, count) = at < 4 ? (at, 4, 5) : (20 + 4 * (at - 4), 1, 4);
            var number = 0;
            for (var i = 0; i < 5; i++) number = 3 * number + (i < count ? BlocksOfTables.DigitOfTQ1_0(stored, 32 * block + first + step * i) : 0);
            bytes |= (ulong)((number * 256 + 242) / 243) << (8 * at);
        }
        var words = Vector128.Create(bytes, 0).AsByte();
        return new(words, default, StoredBits.Half(stored, 52), A: (byte)(bytes >> 32), B: (byte)(bytes >> 40), C: (byte)(bytes >> 48));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.StoreWords(planes, CodeBits, block.First);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct
    {
        upper = default;
        var word = TLanes.Load(planes);
        var (even, odd) = (TLanes.And(word, TLanes.Spread(0x00ff_00ffu)), TLanes.And(TLanes.ShiftRight(word, 8), TLanes.Spread(0x00ff_00ffu)));
        return new(
            NextOfFour<TLanes, V>(ref even, ref odd), NextOfFour<TLanes, V>(ref even, ref odd), NextOfFour<TLanes, V>(ref even, ref odd),
            NextOfFour<TLanes, V>(ref even, ref odd), NextOfFour<TLanes, V>(ref even, ref odd),
            FourOfOne<TLanes, V>(small), FourOfOne<TLanes, V>(small + RowGroup.Rows), FourOfOne<TLanes, V>(small + 2 * RowGroup.Rows));
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (code - 1);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, Terms<TLanes, V>.Shifted(TSums.Of4Bits(codes, x), -1, x), scales.Scale, x);

    /// <summary>The next digit of four bytes: the whole part of three times their fractions.</summary>
    [MethodImpl(AggressiveInlining)]
    static V NextOfFour<TLanes, V>(ref V even, ref V odd) where TLanes : ILanes<V> where V : struct
    {
        var (even3, odd3, mask) = (TLanes.Add(even, TLanes.ShiftLeft(even, 1)), TLanes.Add(odd, TLanes.ShiftLeft(odd, 1)), TLanes.Spread(0x00ff_00ffu));
        (even, odd) = (TLanes.And(even3, mask), TLanes.And(odd3, mask));
        return TLanes.Or(TLanes.And(TLanes.ShiftRight(even3, 8), TLanes.Spread(0x0003_0003u)), TLanes.And(odd3, TLanes.Spread(0x0300_0300u)));
    }

    /// <summary>Four digits of a byte, the first in the lowest byte.</summary>
    [MethodImpl(AggressiveInlining)]
    static V FourOfOne<TLanes, V>(byte* bytes) where TLanes : ILanes<V> where V : struct
    {
        var fraction = TLanes.LoadBytes(bytes);
        var (a, b, c, d) = (Next<TLanes, V>(ref fraction), Next<TLanes, V>(ref fraction), Next<TLanes, V>(ref fraction), Next<TLanes, V>(ref fraction));
        return TLanes.Or(TLanes.Or(a, TLanes.ShiftLeft(b, 8)), TLanes.Or(TLanes.ShiftLeft(c, 16), TLanes.ShiftLeft(d, 24)));
    }

    [MethodImpl(AggressiveInlining)]
    static V Next<TLanes, V>(ref V fraction) where TLanes : ILanes<V> where V : struct
    {
        var three = TLanes.Add(fraction, TLanes.ShiftLeft(fraction, 1));
        fraction = TLanes.And(three, TLanes.Spread(0xffu));
        return TLanes.ShiftRight(three, 8);
    }
}

/// <summary>d or -d, 128 columns a block.</summary>
readonly unsafe struct Q1_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 4;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 1;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var bits = BinaryPrimitives.ReadUInt32LittleEndian(stored[(2 + 4 * block)..]);
        return new(StoredBits.Spread(bits, 1), StoredBits.Spread(bits >> 16, 1), StoredBits.Half(stored, 0));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct =>
        CodePlanes.Load<TLanes, TParts, V>(planes, CodeBits, out upper);

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (2 * code - 1);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        var sum = TSums.Of4Bits(codes, x);
        return Terms<TLanes, V>.AddScaled(total, Terms<TLanes, V>.Shifted(TLanes.Add(sum, sum), -1, x), scales.Scale, x);
    }
}

/// <summary>d (q - 1), 64 columns a block, four consecutive ones in a byte.</summary>
readonly unsafe struct Q2_0Format : IQuantFormat
{
    public static int BlocksPerHeader => 2;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 2;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var bytes = stored.Slice(2 + 8 * block, 8);
        return new(Columns(bytes), Columns(bytes[4..]), StoredBits.Half(stored, 0));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.Store(planes, CodeBits, block);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct =>
        CodePlanes.Load<TLanes, TParts, V>(planes, CodeBits, out upper);

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * (code - 1);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(scale);

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, Terms<TLanes, V>.Shifted(TSums.Of4Bits(codes, x), -1, x), scales.Scale, x);

    /// <summary>16 columns out of 4 bytes.</summary>
    [MethodImpl(AggressiveInlining)]
    static Vector128<byte> Columns(ReadOnlySpan<byte> bytes)
    {
        var four = Vector128.Create(bytes[0], bytes[1], bytes[2], (uint)bytes[3]);
        var columns = four | four << 6 | four << 12 | four << 18;
        return (columns & Vector128.Create(0x0303_0303u)).AsByte();
    }
}

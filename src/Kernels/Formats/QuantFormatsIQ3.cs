using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>A format whose codes come out of a code book, eight columns at a time.</summary>
unsafe interface IGridFormat : IQuantFormat
{
    /// <summary>Codes of eight columns of a row, the first in the lowest byte.</summary>
    /// <param name="small">The row's byte A; B and C follow 16 bytes on.</param>
    /// <param name="planes">The row's lane in the first vector.</param>
    /// <param name="eighth">Which columns: 8 x this one, 0..3.</param>
    static abstract ulong Eight(byte* small, byte* planes, int eighth);
}

/// <summary>Codes of a register's rows out of code books.</summary>
static unsafe class GridLanes<TFormat, TLanes, V> where TFormat : IGridFormat where TLanes : ILanes<V> where V : struct
{
    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load(byte* small, byte* planes)
    {
        Unsafe.SkipInit(out Codes<V> codes);
        var words = (uint*)Unsafe.AsPointer(ref codes);
        for (var lane = 0; lane < TLanes.Count; lane++, small++, planes += sizeof(uint), words++)
        {
            Store(words, TFormat.Eight(small, planes, 0));
            Store(words + 2 * TLanes.Count, TFormat.Eight(small, planes, 1));
            Store(words + 4 * TLanes.Count, TFormat.Eight(small, planes, 2));
            Store(words + 6 * TLanes.Count, TFormat.Eight(small, planes, 3));
        }
        return codes;
    }

    [MethodImpl(AggressiveInlining)]
    static void Store(uint* words, ulong codes)
    {
        words[0] = (uint)codes;
        words[TLanes.Count] = (uint)(codes >> 32);
    }
}

/// <summary>d (2 s + 1) / 4 times magnitudes of a book of 256 x 4, 256 columns a block. Words: codes, codes, signs and s. Met as 128 + value.</summary>
readonly unsafe struct IQ3XXSFormat : IGridFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 3;

    public static bool ScalesHalves => false;

    public static BlockTerm Term => BlockTerm.Minus128;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var codes = BinaryPrimitives.ReadUInt64LittleEndian(stored[(2 + 8 * block)..]);
        var signs = BinaryPrimitives.ReadUInt32LittleEndian(stored[(66 + 4 * block)..]);
        return new(Vector128.Create(codes, signs).AsByte(), default, StoredBits.Half(stored, 0));
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.StoreWords(planes, CodeBits, block.First);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct
    {
        if (typeof(V) == typeof(Vector512<byte>) && GridLanes512.IsSupported) return GridLanes512.Iq3Xxs<TParts, V>(planes, out upper);
        if (typeof(V) == typeof(Vector256<byte>)) return GridLanes256.Iq3Xxs<TParts, V>(planes, out upper);
        return Codes<V>.Of8Bits<TParts>(GridLanes<IQ3XXSFormat, TLanes, V>.Load(small, planes), 128, out upper);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * 0.25f * (2 * (((uint*)planes)[2 * RowGroup.Rows] >> 28) + 1) * (code - 128);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.OddScale(scale, 0.25f, TLanes.ShiftRight(TLanes.Load(planes + 2 * CodePlanes.VectorBytes), 28));

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Of8Bits(codes, upper, x), scales.Scale, x);

    [MethodImpl(AggressiveInlining)]
    public static ulong Eight(byte* small, byte* planes, int eighth)
    {
        var pair = planes + eighth / 2 * CodePlanes.VectorBytes + eighth % 2 * 2;
        var signs = Unsafe.ReadUnaligned<uint>(planes + 2 * CodePlanes.VectorBytes);
        var codes = GridTables.Iq3Xxs[pair[0]] | (ulong)GridTables.Iq3Xxs[pair[1]] << 32;
        return GridTables.Signed(codes, GridTables.EvenMasks[signs >> (7 * eighth) & 127]);
    }
}

/// <summary>
/// d (2 s + 1) times magnitudes of a book of 512 x 4, 256 columns a block. Words: codes, codes, signs; A is 2 s + 1, B has ninth bits. Met as 4-bit c of
/// 2 c - 15.
/// </summary>
readonly unsafe struct IQ3SFormat : IGridFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 2;

    public static int CodeBits => 3;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var codes = BinaryPrimitives.ReadUInt64LittleEndian(stored[(2 + 8 * block)..]);
        var signs = BinaryPrimitives.ReadUInt32LittleEndian(stored[(74 + 4 * block)..]);
        var scale = stored[106 + block / 2] >> (block % 2 * 4) & 15;
        return new(Vector128.Create(codes, signs).AsByte(), default, StoredBits.Half(stored, 0), A: (byte)(2 * scale + 1), B: stored[66 + block]);
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.StoreWords(planes, CodeBits, block.First);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct
    {
        upper = default;
        if (typeof(V) == typeof(Vector512<byte>) && GridLanes512.IsSupported) return GridLanes512.Iq3S<V>(small, planes);
        if (typeof(V) == typeof(Vector256<byte>)) return GridLanes256.Iq3S<V>(small, planes);
        return GridLanes<IQ3SFormat, TLanes, V>.Load(small, planes);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * small[0] * (2 * code - 15);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        new(TLanes.MultiplySingle(scale, TLanes.ToSingle(TLanes.LoadBytes(small))));

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        var sum = TSums.Of4Bits(codes, x);
        return Terms<TLanes, V>.AddScaled(total, Terms<TLanes, V>.Shifted(TLanes.Add(sum, sum), -15, x), scales.Scale, x);
    }

    [MethodImpl(AggressiveInlining)]
    public static ulong Eight(byte* small, byte* planes, int eighth)
    {
        var pair = planes + eighth / 2 * CodePlanes.VectorBytes + eighth % 2 * 2;
        var high = small[RowGroup.Rows] >> (2 * eighth);
        var codes = GridTables.Iq3S[pair[0] | (high & 1) << 8] | (ulong)GridTables.Iq3S[pair[1] | (high & 2) << 7] << 32;

        // 8 + h to 7 - h where the sign is set.
        return codes ^ (GridTables.BitMasks[planes[2 * CodePlanes.VectorBytes + eighth]] & 0x0f0f_0f0f_0f0f_0f0f);
    }
}

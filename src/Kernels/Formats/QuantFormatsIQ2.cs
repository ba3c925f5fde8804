using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>d (2 s + 1) / 8 times magnitudes of a book of 256 x 8, 256 columns a block. Words: codes, signs and s. Met as 128 + value.</summary>
readonly unsafe struct IQ2XXSFormat : IGridFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 0;

    public static int CodeBits => 2;

    public static bool ScalesHalves => false;

    public static BlockTerm Term => BlockTerm.Minus128;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block) =>
        new(Vector128.Create(BinaryPrimitives.ReadUInt64LittleEndian(stored[(2 + 8 * block)..]), 0).AsByte(), default, StoredBits.Half(stored, 0));

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.StoreWords(planes, CodeBits, block.First);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct
    {
        if (typeof(V) == typeof(Vector512<byte>) && GridLanes512.IsSupported) return GridLanes512.Iq2Xxs<TParts, V>(planes, out upper);
        if (typeof(V) == typeof(Vector256<byte>)) return GridLanes256.Iq2Xxs<TParts, V>(planes, out upper);
        return Codes<V>.Of8Bits<TParts>(GridLanes<IQ2XXSFormat, TLanes, V>.Load(small, planes), 128, out upper);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * 0.125f * (2 * (((uint*)planes)[RowGroup.Rows] >> 28) + 1) * (code - 128);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.OddScale(scale, 0.125f, TLanes.ShiftRight(TLanes.Load(planes + CodePlanes.VectorBytes), 28));

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Of8Bits(codes, upper, x), scales.Scale, x);

    [MethodImpl(AggressiveInlining)]
    public static ulong Eight(byte* small, byte* planes, int eighth)
    {
        var signs = Unsafe.ReadUnaligned<uint>(planes + CodePlanes.VectorBytes);
        return GridTables.Signed(GridTables.Iq2Xxs[planes[eighth]], GridTables.EvenMasks[signs >> (7 * eighth) & 127]);
    }
}

/// <summary>
/// d (2 s + 1) / 8 times magnitudes of a book of 512 x 8, s of 16 columns, 256 columns a block. Words: codes with signs; A has both s. Met as 64 + value.
/// </summary>
readonly unsafe struct IQ2XSFormat : IGridFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 1;

    public static int CodeBits => 2;

    public static bool ScalesHalves => true;

    public static BlockTerm Term => BlockTerm.Minus64Halves;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block) =>
        new(
            Vector128.Create(BinaryPrimitives.ReadUInt64LittleEndian(stored[(2 + 8 * block)..]), 0).AsByte(), default,
            StoredBits.Half(stored, 0), A: stored[66 + block]);

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.StoreWords(planes, CodeBits, block.First);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct
    {
        if (typeof(V) == typeof(Vector512<byte>) && GridLanes512.IsSupported) return GridLanes512.Iq2Xs<TParts, V>(planes, out upper);
        if (typeof(V) == typeof(Vector256<byte>)) return GridLanes256.Iq2Xs<TParts, V>(planes, out upper);
        return Codes<V>.Of8Bits<TParts>(GridLanes<IQ2XSFormat, TLanes, V>.Load(small, planes), 64, out upper);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * 0.125f * (2 * (secondHalf ? small[0] >> 4 : small[0] & 15) + 1) * (code - 64);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        var a = TLanes.LoadBytes(small);
        return new(
            TLanes.MultiplySingle(scale, TLanes.Spread(0.125f)), default,
            TSums.SubScale(TLanes.Or(TLanes.ShiftLeft(TLanes.And(a, TLanes.Spread(15u)), 1), TLanes.Spread(1u))),
            TSums.SubScale(TLanes.Or(TLanes.ShiftLeft(TLanes.ShiftRight(a, 4), 1), TLanes.Spread(1u))));
    }

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Scaled7Bits(codes, upper, x, scales.First, scales.Second), scales.Scale, x);

    [MethodImpl(AggressiveInlining)]
    public static ulong Eight(byte* small, byte* planes, int eighth)
    {
        var code = Unsafe.ReadUnaligned<ushort>(planes + eighth / 2 * CodePlanes.VectorBytes + eighth % 2 * 2);
        return GridTables.Signed(GridTables.Iq2Xs[code & 511], GridTables.EvenMasks[code >> 9] & 0x7f7f_7f7f_7f7f_7f7f);
    }
}

/// <summary>
/// d (2 s + 1) / 8 times magnitudes of a book of 1024 x 8, s of 16 columns, 256 columns a block. Words: codes, signs; A has both s, B upper bits of
/// codes. Met as 64 + value.
/// </summary>
readonly unsafe struct IQ2SFormat : IGridFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 2;

    public static int CodeBits => 2;

    public static bool ScalesHalves => true;

    public static BlockTerm Term => BlockTerm.Minus64Halves;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var codes = BinaryPrimitives.ReadUInt32LittleEndian(stored[(2 + 4 * block)..]);
        var signs = BinaryPrimitives.ReadUInt32LittleEndian(stored[(34 + 4 * block)..]);
        return new(Vector128.Create(codes, signs, 0, 0).AsByte(), default, StoredBits.Half(stored, 0), A: stored[74 + block], B: stored[66 + block]);
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.StoreWords(planes, CodeBits, block.First);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct
    {
        if (typeof(V) == typeof(Vector512<byte>) && GridLanes512.IsSupported) return GridLanes512.Iq2S<TParts, V>(small, planes, out upper);
        if (typeof(V) == typeof(Vector256<byte>)) return GridLanes256.Iq2S<TParts, V>(small, planes, out upper);
        return Codes<V>.Of8Bits<TParts>(GridLanes<IQ2SFormat, TLanes, V>.Load(small, planes), 64, out upper);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * 0.125f * (2 * (secondHalf ? small[0] >> 4 : small[0] & 15) + 1) * (code - 64);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        var a = TLanes.LoadBytes(small);
        return new(
            TLanes.MultiplySingle(scale, TLanes.Spread(0.125f)), default,
            TSums.SubScale(TLanes.Or(TLanes.ShiftLeft(TLanes.And(a, TLanes.Spread(15u)), 1), TLanes.Spread(1u))),
            TSums.SubScale(TLanes.Or(TLanes.ShiftLeft(TLanes.ShiftRight(a, 4), 1), TLanes.Spread(1u))));
    }

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Scaled7Bits(codes, upper, x, scales.First, scales.Second), scales.Scale, x);

    [MethodImpl(AggressiveInlining)]
    public static ulong Eight(byte* small, byte* planes, int eighth)
    {
        var code = planes[eighth] | (small[RowGroup.Rows] >> (2 * eighth) & 3) << 8;
        return GridTables.Signed(GridTables.Iq2S[code], GridTables.BitMasks[planes[CodePlanes.VectorBytes + eighth]] & 0x7f7f_7f7f_7f7f_7f7f);
    }
}

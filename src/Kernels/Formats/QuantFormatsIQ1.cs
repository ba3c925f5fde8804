using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using static System.Runtime.CompilerServices.MethodImplOptions;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// d (2 s + 1) (v + shift) with v of a book of 2048 x 8, 256 columns a block. A word of codes; A and B have upper bits, s and the sign of the shift. Met
/// as 9 + 8 (v + shift).
/// </summary>
readonly unsafe struct IQ1SFormat : IGridFormat
{
    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 2;

    public static int CodeBits => 1;

    public static bool ScalesHalves => false;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block) =>
        new(
            Vector128.Create(BinaryPrimitives.ReadUInt32LittleEndian(stored[(2 + 4 * block)..])).AsByte(), default,
            StoredBits.Half(stored, 0), A: stored[34 + 2 * block], B: stored[35 + 2 * block]);

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.StoreWords(planes, CodeBits, block.First);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct
    {
        upper = default;
        if (typeof(V) == typeof(Vector512<byte>) && GridLanes512.IsSupported) return GridLanes512.Iq1S<V>(small, planes);
        if (typeof(V) == typeof(Vector256<byte>)) return GridLanes256.Iq1S<V>(small, planes);
        return GridLanes<IQ1SFormat, TLanes, V>.Load(small, planes);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * 0.125f * (2 * (small[RowGroup.Rows] >> 4 & 7) + 1) * (code - 9);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        var s = TLanes.And(TLanes.ShiftRight(TLanes.LoadBytes(small + RowGroup.Rows), 4), TLanes.Spread(7u));
        return Terms<TLanes, V>.OddScale(scale, 0.125f, s);
    }

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, Terms<TLanes, V>.Shifted(TSums.Of5Bits(codes, x), -9, x), scales.Scale, x);

    [MethodImpl(AggressiveInlining)]
    public static ulong Eight(byte* small, byte* planes, int eighth)
    {
        var high = small[0] | small[RowGroup.Rows] << 8;
        var shift = (high & 0x8000) != 0 ? 0 : 0x0202_0202_0202_0202ul;
        return GridTables.Iq1[planes[eighth] | (high >> (3 * eighth) & 7) << 8] + shift;
    }
}

/// <summary>
/// As IQ1_S, with s of 16 and shifts of 8 columns. A word of codes; A and B have upper bits and signs of shifts, C both s. Met as 32 + 8 (v + shift).
/// </summary>
readonly unsafe struct IQ1MFormat : IGridFormat
{
    const ulong EachByte = 0x0101_0101_0101_0101;

    public static int BlocksPerHeader => 8;

    public static bool HasScale => true;

    public static bool HasMinima => false;

    public static int SmallBytes => 3;

    public static int CodeBits => 1;

    public static bool ScalesHalves => true;

    public static BlockTerm Term => BlockTerm.Minus32Halves;

    [MethodImpl(AggressiveInlining)]
    public static StoredBlock Read(ReadOnlySpan<byte> stored, int block)
    {
        var scales = BinaryPrimitives.ReadUInt16LittleEndian(stored[(48 + block / 2 * 2)..]) >> (block % 2 * 6) & 63;
        return new(
            Vector128.Create(BinaryPrimitives.ReadUInt32LittleEndian(stored[(4 * block)..])).AsByte(), default, BlocksGrid.ScaleOfIQ1_M(stored),
            A: stored[32 + 2 * block], B: stored[33 + 2 * block], C: (byte)scales);
    }

    [MethodImpl(AggressiveInlining)]
    public static void Store(byte* planes, in StoredBlock block) => CodePlanes.StoreWords(planes, CodeBits, block.First);

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* small, byte* planes, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct
    {
        upper = default;
        if (typeof(V) == typeof(Vector512<byte>) && GridLanes512.IsSupported) return GridLanes512.Iq1M<V>(small, planes);
        if (typeof(V) == typeof(Vector256<byte>)) return GridLanes256.Iq1M<V>(small, planes);
        return GridLanes<IQ1MFormat, TLanes, V>.Load(small, planes);
    }

    public static float Value(int code, float scale, float min, byte* small, byte* planes, bool secondHalf) =>
        scale * 0.125f * (2 * (small[2 * RowGroup.Rows] >> (secondHalf ? 3 : 0) & 7) + 1) * (code - 32);

    [MethodImpl(AggressiveInlining)]
    public static BlockScales<V> Scales<TLanes, TSums, V>(V scale, V min, byte* small, byte* planes)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct
    {
        var (c, ones) = (TLanes.LoadBytes(small + 2 * RowGroup.Rows), TLanes.Spread(1u));
        return new(
            TLanes.MultiplySingle(scale, TLanes.Spread(0.125f)), default,
            TSums.SubScale(TLanes.Or(TLanes.ShiftLeft(TLanes.And(c, TLanes.Spread(7u)), 1), ones)),
            TSums.SubScale(TLanes.Or(TLanes.ShiftLeft(TLanes.ShiftRight(c, 3), 1), ones)));
    }

    [MethodImpl(AggressiveInlining)]
    public static V Add<TLanes, TSums, V>(V total, in Codes<V> codes, in Codes<V> upper, in BlockScales<V> scales, ActivationBlock* x)
        where TLanes : ILanes<V> where TSums : IBlockSums<V> where V : struct =>
        Terms<TLanes, V>.AddScaled(total, TSums.Scaled6Bits(codes, x, scales.First, scales.Second), scales.Scale, x);

    [MethodImpl(AggressiveInlining)]
    public static ulong Eight(byte* small, byte* planes, int eighth)
    {
        var high = small[eighth / 2 * RowGroup.Rows] >> (eighth % 2 * 4);
        var shift = (high & 8) != 0 ? 23 * EachByte : 25 * EachByte;
        return GridTables.Iq1[planes[eighth] | (high & 7) << 8] + shift;
    }
}

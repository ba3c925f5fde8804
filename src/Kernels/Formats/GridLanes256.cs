using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using static System.Runtime.CompilerServices.MethodImplOptions;
using V = System.Runtime.Intrinsics.Vector256<byte>;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// Codes of 8 rows out of code books, for processors with AVX2. Entries are loaded one by one into the lanes of a register, for a gather is slower than
/// that, and much slower where processors mend gather data sampling. All else is done for eight rows at once. A book has a byte for each column: a magnitude
/// or a code.
/// </summary>
[SkipLocalsInit]
static unsafe class GridLanes256
{
    static readonly ulong* Iq2XxsBook = GridTables.Eights(CodeGrid.Iq2Xxs, 0, 1), Iq2XsBook = GridTables.Eights(CodeGrid.Iq2Xs, 0, 1);
    static readonly ulong* Iq2SBook = GridTables.Eights(CodeGrid.Iq2S, 0, 1);

    static readonly uint* Iq3XxsBook = GridTables.Fours(CodeGrid.Iq3Xxs, (entry, column) => CodeGrid.Iq3Xxs.Value(entry, column));

    [MethodImpl(AggressiveInlining)]
    public static Codes<TVector> Iq2Xxs<TParts, TVector>(byte* planes, out Codes<TVector> second) where TParts : ICodeParts<TVector> where TVector : struct
    {
        var signs = Even(SevenBits(Vector256.Load(planes + CodePlanes.VectorBytes).AsUInt32()));
        OfBytes(Iq2XxsBook, planes, out var m0, out var m1);
        OfBytes(Iq2XxsBook, planes + 1, out var m2, out var m3);
        OfBytes(Iq2XxsBook, planes + 2, out var m4, out var m5);
        OfBytes(Iq2XxsBook, planes + 3, out var m6, out var m7);
        return Signed<TParts, TVector>(m0, m1, m2, m3, m4, m5, m6, m7, signs, 0, 1, 2, 3, 128, out second);
    }

    /// <summary>Of the words of a lane those of columns 0..15 are in the first vector.</summary>
    [MethodImpl(AggressiveInlining)]
    public static Codes<TVector> Iq2Xs<TParts, TVector>(byte* planes, out Codes<TVector> second) where TParts : ICodeParts<TVector> where TVector : struct
    {
        var (a, b) = (Vector256.Load(planes).AsUInt16(), Vector256.Load(planes + CodePlanes.VectorBytes).AsUInt16());
        Unsafe.SkipInit(out Indices memory);
        var indices = memory.Of;
        (a & Vector256.Create((ushort)511)).Store(indices);
        (b & Vector256.Create((ushort)511)).Store(indices + 16);
        var signs = Even((a >>> 9 | (b >>> 9) << 8).AsByte());
        OfWords(Iq2XsBook, indices, out var m0, out var m1);
        OfWords(Iq2XsBook, indices + 1, out var m2, out var m3);
        OfWords(Iq2XsBook, indices + 16, out var m4, out var m5);
        OfWords(Iq2XsBook, indices + 17, out var m6, out var m7);
        return Signed<TParts, TVector>(m0, m1, m2, m3, m4, m5, m6, m7, signs, 0, 2, 1, 3, 64, out second);
    }

    [MethodImpl(AggressiveInlining)]
    public static Codes<TVector> Iq2S<TParts, TVector>(byte* small, byte* planes, out Codes<TVector> second)
        where TParts : ICodeParts<TVector> where TVector : struct
    {
        var bytes = Vector256.Load(planes).AsUInt16();
        var high = Twice(small + RowGroup.Rows);
        Unsafe.SkipInit(out Indices memory);
        var indices = memory.Of;
        (bytes & Vector256.Create((ushort)0xff) | Bits(high, 0x0010_0001, 0x100) | Bits(high, 0x0020_0002, 0x200)).Store(indices);
        (bytes >>> 8 | Bits(high, 0x0040_0004, 0x100) | Bits(high, 0x0080_0008, 0x200)).Store(indices + 16);
        OfWords(Iq2SBook, indices, out var m0, out var m1);
        OfWords(Iq2SBook, indices + 16, out var m2, out var m3);
        OfWords(Iq2SBook, indices + 1, out var m4, out var m5);
        OfWords(Iq2SBook, indices + 17, out var m6, out var m7);
        return Signed<TParts, TVector>(m0, m1, m2, m3, m4, m5, m6, m7, Vector256.Load(planes + CodePlanes.VectorBytes), 0, 1, 2, 3, 64, out second);
    }

    [MethodImpl(AggressiveInlining)]
    public static Codes<TVector> Iq3Xxs<TParts, TVector>(byte* planes, out Codes<TVector> second) where TParts : ICodeParts<TVector> where TVector : struct
    {
        var signs = Even(SevenBits(Vector256.Load(planes + 2 * CodePlanes.VectorBytes).AsUInt32()));
        var next = planes + CodePlanes.VectorBytes;
        return Signed<TParts, TVector>(
            OfBytes(Iq3XxsBook, planes), OfBytes(Iq3XxsBook, planes + 1), OfBytes(Iq3XxsBook, planes + 2), OfBytes(Iq3XxsBook, planes + 3),
            OfBytes(Iq3XxsBook, next), OfBytes(Iq3XxsBook, next + 1), OfBytes(Iq3XxsBook, next + 2), OfBytes(Iq3XxsBook, next + 3),
            signs, 0, 1, 2, 3, 128, out second);
    }

    [MethodImpl(AggressiveInlining)]
    public static Codes<TVector> Iq3S<TVector>(byte* small, byte* planes) where TVector : struct
    {
        var (a, b) = (Vector256.Load(planes).AsUInt16(), Vector256.Load(planes + CodePlanes.VectorBytes).AsUInt16());
        var high = Twice(small + RowGroup.Rows);
        var mask = Vector256.Create((ushort)0xff);
        Unsafe.SkipInit(out Indices memory);
        var indices = memory.Of;
        (a & mask | Bits(high, 0x0004_0001, 0x100)).Store(indices);
        (a >>> 8 | Bits(high, 0x0008_0002, 0x100)).Store(indices + 16);
        (b & mask | Bits(high, 0x0040_0010, 0x100)).Store(indices + 32);
        (b >>> 8 | Bits(high, 0x0080_0020, 0x100)).Store(indices + 48);
        var signs = Vector256.Load(planes + 2 * CodePlanes.VectorBytes);
        return Of<TVector>(
            Flipped(OfWords(GridTables.Iq3S, indices), signs, 0, 0), Flipped(OfWords(GridTables.Iq3S, indices + 16), signs, 0, 1),
            Flipped(OfWords(GridTables.Iq3S, indices + 1), signs, 1, 0), Flipped(OfWords(GridTables.Iq3S, indices + 17), signs, 1, 1),
            Flipped(OfWords(GridTables.Iq3S, indices + 32), signs, 2, 0), Flipped(OfWords(GridTables.Iq3S, indices + 48), signs, 2, 1),
            Flipped(OfWords(GridTables.Iq3S, indices + 33), signs, 3, 0), Flipped(OfWords(GridTables.Iq3S, indices + 49), signs, 3, 1));
    }

    /// <summary>9 + 8 (v + shift): 8 (v + 1) for a negative shift, 2 more for another.</summary>
    [MethodImpl(AggressiveInlining)]
    public static Codes<TVector> Iq1S<TVector>(byte* small, byte* planes) where TVector : struct
    {
        var (bytes, high) = (Vector256.Load(planes).AsUInt16(), Twice(small) | Twice(small + RowGroup.Rows) << 8);
        Unsafe.SkipInit(out Indices memory);
        var indices = memory.Of;
        (bytes & Vector256.Create((ushort)0xff)
            | Bits(high, 0x0040_0001, 0x100) | Bits(high, 0x0080_0002, 0x200) | Bits(high, 0x0100_0004, 0x400)).Store(indices);
        (bytes >>> 8 | Bits(high, 0x0200_0008, 0x100) | Bits(high, 0x0400_0010, 0x200) | Bits(high, 0x0800_0020, 0x400)).Store(indices + 16);
        var shift = Vector256.AndNot(Vector256.Create((byte)2), IsSet(high, 0x8000_8000).AsByte());
        return Shifted<TVector>(indices, shift, shift, shift, shift);
    }

    /// <summary>32 + 8 (v + shift): 8 (v + 1) + 23 for a negative shift, + 25 for another.</summary>
    [MethodImpl(AggressiveInlining)]
    public static Codes<TVector> Iq1M<TVector>(byte* small, byte* planes) where TVector : struct
    {
        var high = Vector256.ConditionalSelect(Vector256.Create(0x0000_ffffu).AsUInt16(), Twice(small), Twice(small + RowGroup.Rows));
        var bytes = Vector256.Load(planes).AsUInt16();
        Unsafe.SkipInit(out Indices memory);
        var indices = memory.Of;
        (bytes & Vector256.Create((ushort)0xff)
            | Bits(high, 0x0001_0001, 0x100) | Bits(high, 0x0002_0002, 0x200) | Bits(high, 0x0004_0004, 0x400)).Store(indices);
        (bytes >>> 8 | Bits(high, 0x0010_0010, 0x100) | Bits(high, 0x0020_0020, 0x200) | Bits(high, 0x0040_0040, 0x400)).Store(indices + 16);
        // Of the columns 0..7, 8..15, 16..23 and 24..31; each is a word's shift in both words of a lane.
        var (even, odd) = (IsSet(high, 0x0008_0008).AsUInt32(), IsSet(high, 0x0080_0080).AsUInt32());
        return Shifted<TVector>(indices, MinusOrPlus(Low(even)), MinusOrPlus(Low(odd)), MinusOrPlus(High(even)), MinusOrPlus(High(odd)));

        static Vector256<uint> Low(Vector256<uint> words) => (words & Vector256.Create(0xffffu)) | words << 16;
        static Vector256<uint> High(Vector256<uint> words) => (words & Vector256.Create(0xffff_0000u)) | words >>> 16;
        static V MinusOrPlus(Vector256<uint> negative) => Vector256.Create((byte)25) - (negative.AsByte() & Vector256.Create((byte)2));
    }

    /// <summary>Codes of 8 (v + 1) and what is to be added for each eight columns.</summary>
    [MethodImpl(AggressiveInlining)]
    static Codes<TVector> Shifted<TVector>(ushort* indices, V shift0, V shift1, V shift2, V shift3) where TVector : struct
    {
        OfWords(GridTables.Iq1, indices, out var c0, out var c1);
        OfWords(GridTables.Iq1, indices + 16, out var c2, out var c3);
        OfWords(GridTables.Iq1, indices + 1, out var c4, out var c5);
        OfWords(GridTables.Iq1, indices + 17, out var c6, out var c7);
        return Of<TVector>(c0 + shift0, c1 + shift0, c2 + shift1, c3 + shift1, c4 + shift2, c5 + shift2, c6 + shift3, c7 + shift3);
    }

    /// <summary>
    /// Magnitudes and signs (1 or -1), which are the parts of <see cref="SignSums{TLanes, V}"/>, the only sums of this width that take parts; else codes.
    /// </summary>
    /// <param name="signs">Eight of them in a byte; byte0 is the byte of columns 0..7.</param>
    /// <param name="offset">The code that stands for zero.</param>
    [MethodImpl(AggressiveInlining)]
    static Codes<TVector> Signed<TParts, TVector>(
        V m0, V m1, V m2, V m3, V m4, V m5, V m6, V m7, V signs, int byte0, int byte1, int byte2, int byte3, int offset, out Codes<TVector> second)
        where TParts : ICodeParts<TVector> where TVector : struct
    {
        V n0 = Negative(signs, byte0, 0), n1 = Negative(signs, byte0, 1), n2 = Negative(signs, byte1, 0), n3 = Negative(signs, byte1, 1);
        V n4 = Negative(signs, byte2, 0), n5 = Negative(signs, byte2, 1), n6 = Negative(signs, byte3, 0), n7 = Negative(signs, byte3, 1);
        var one = Vector256.Create(TParts.InParts ? (byte)1 : (byte)offset);
        if (TParts.InParts)
        {
            second = Of<TVector>(n0 | one, n1 | one, n2 | one, n3 | one, n4 | one, n5 | one, n6 | one, n7 | one);
            return Of<TVector>(m0, m1, m2, m3, m4, m5, m6, m7);
        }
        second = default;
        return Of<TVector>(
            (m0 ^ n0) - n0 + one, (m1 ^ n1) - n1 + one, (m2 ^ n2) - n2 + one, (m3 ^ n3) - n3 + one,
            (m4 ^ n4) - n4 + one, (m5 ^ n5) - n5 + one, (m6 ^ n6) - n6 + one, (m7 ^ n7) - n7 + one);
    }

    /// <summary>8 + h, or 7 - h where the sign is set.</summary>
    [MethodImpl(AggressiveInlining)]
    static V Flipped(V codes, V signs, int fromByte, int half) => codes ^ (Negative(signs, fromByte, half) & Vector256.Create((byte)15));

    /// <summary>All bits of the bytes whose sign is set, of four signs in the lower half or the upper half of a byte of each lane.</summary>
    [MethodImpl(AggressiveInlining)]
    static V Negative(V signs, int fromByte, int half)
    {
        var spread = Avx2.Shuffle(signs, Spread(fromByte));
        var bit = Vector256.Create(half == 0 ? 0x0804_0201u : 0x8040_2010u).AsByte();
        return Vector256.Equals(spread & bit, bit);
    }

    /// <summary>The indices that give a byte of each lane to all of its bytes.</summary>
    [MethodImpl(AggressiveInlining)]
    static V Spread(int fromByte) => Vector256.Create(
        0x0101_0101u * (uint)fromByte, 0x0101_0101u * (uint)(4 + fromByte), 0x0101_0101u * (uint)(8 + fromByte), 0x0101_0101u * (uint)(12 + fromByte),
        0x0101_0101u * (uint)fromByte, 0x0101_0101u * (uint)(4 + fromByte), 0x0101_0101u * (uint)(8 + fromByte), 0x0101_0101u * (uint)(12 + fromByte)).AsByte();

    /// <summary>Four times seven bits, each to a byte.</summary>
    [MethodImpl(AggressiveInlining)]
    static V SevenBits(Vector256<uint> words) => (
        words & Vector256.Create(0x7fu) | words << 1 & Vector256.Create(0x7f00u) | words << 2 & Vector256.Create(0x7f_0000u)
        | words << 3 & Vector256.Create(0x7f00_0000u)).AsByte();

    /// <summary>Eight signs for seven: the eighth makes the number of set ones even.</summary>
    [MethodImpl(AggressiveInlining)]
    static V Even(V signs)
    {
        var odd = Vector256.Create(Vector128.Create((byte)0, 128, 128, 0, 128, 0, 0, 128, 128, 0, 0, 128, 0, 128, 128, 0));
        return signs | Avx2.Shuffle(odd, Lower(signs)) ^ Avx2.Shuffle(odd, Upper(signs));
    }

    [MethodImpl(AggressiveInlining)]
    static V Lower(V bytes) => bytes & Vector256.Create((byte)15);

    [MethodImpl(AggressiveInlining)]
    static V Upper(V bytes) => (bytes.AsUInt16() >>> 4).AsByte() & Vector256.Create((byte)15);

    /// <summary>A byte for each lane, in both of its words.</summary>
    [MethodImpl(AggressiveInlining)]
    static Vector256<ushort> Twice(byte* bytes)
    {
        var lanes = Avx2.ConvertToVector256Int32(bytes);
        return (lanes | lanes << 16).AsUInt16();
    }

    [MethodImpl(AggressiveInlining)]
    static Vector256<ushort> IsSet(Vector256<ushort> words, uint bit) =>
        Vector256.Equals(words & Vector256.Create(bit).AsUInt16(), Vector256.Create(bit).AsUInt16());

    /// <summary>A value in the words whose bit is set.</summary>
    [MethodImpl(AggressiveInlining)]
    static Vector256<ushort> Bits(Vector256<ushort> words, uint bit, ushort value) => IsSet(words, bit) & Vector256.Create(value);

    /// <summary>The entries of eight columns of the indices in the first byte of eight lanes: columns 0..3, and 4..7.</summary>
    [MethodImpl(AggressiveInlining)]
    static void OfBytes(ulong* book, byte* index, out V first, out V second) => Halves(
        Two(book + index[0], book + index[4]), Two(book + index[8], book + index[12]),
        Two(book + index[16], book + index[20]), Two(book + index[24], book + index[28]),
        out first, out second);

    /// <summary>The same of the indices in the first word of eight lanes.</summary>
    [MethodImpl(AggressiveInlining)]
    static void OfWords(ulong* book, ushort* index, out V first, out V second) => Halves(
        Two(book + index[0], book + index[2]), Two(book + index[4], book + index[6]),
        Two(book + index[8], book + index[10]), Two(book + index[12], book + index[14]),
        out first, out second);

    [MethodImpl(AggressiveInlining)]
    static Vector128<double> Two(ulong* a, ulong* b) => Sse2.LoadHigh(Sse2.LoadScalarVector128((double*)a), (double*)b);

    /// <summary>The lower and the upper halves of eight numbers, from lane to lane.</summary>
    [MethodImpl(AggressiveInlining)]
    static void Halves(Vector128<double> lanes0, Vector128<double> lanes2, Vector128<double> lanes4, Vector128<double> lanes6, out V lower, out V upper)
    {
        var (a, b) = (Vector256.Create(lanes0, lanes4).AsSingle(), Vector256.Create(lanes2, lanes6).AsSingle());
        lower = Avx.Shuffle(a, b, 0b10_00_10_00).AsByte();
        upper = Avx.Shuffle(a, b, 0b11_01_11_01).AsByte();
    }

    /// <summary>The entries of four columns of the indices in the first byte of eight lanes.</summary>
    [MethodImpl(AggressiveInlining)]
    static V OfBytes(uint* book, byte* index) => Vector256.Create(
        book[index[0]], book[index[4]], book[index[8]], book[index[12]], book[index[16]], book[index[20]], book[index[24]], book[index[28]]).AsByte();

    /// <summary>The same of the indices in the first word of eight lanes.</summary>
    [MethodImpl(AggressiveInlining)]
    static V OfWords(uint* book, ushort* index) => Vector256.Create(
        book[index[0]], book[index[2]], book[index[4]], book[index[6]], book[index[8]], book[index[10]], book[index[12]], book[index[14]]).AsByte();

    [MethodImpl(AggressiveInlining)]
    static Codes<TVector> Of<TVector>(V c0, V c1, V c2, V c3, V c4, V c5, V c6, V c7) where TVector : struct => new(
        (TVector)(object)c0, (TVector)(object)c1, (TVector)(object)c2, (TVector)(object)c3,
        (TVector)(object)c4, (TVector)(object)c5, (TVector)(object)c6, (TVector)(object)c7);

    /// <summary>Of entries, 16 for each of four positions: a word for each of two entries of a lane.</summary>
    struct Indices
    {
        public fixed ushort Of[64];
    }
}

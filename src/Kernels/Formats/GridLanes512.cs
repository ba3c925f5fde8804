using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using static System.Runtime.CompilerServices.MethodImplOptions;
using Bytes = System.Runtime.Intrinsics.Vector512<byte>;
using Words = System.Runtime.Intrinsics.Vector512<ushort>;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// Codes of 16 rows out of code books without a look-up in memory, for processors with AVX-512 VBMI. A book's entries are kept as levels, 16 bits each, and
/// a permutation finds 32 of them among 64 at a time. Shifts bring a column's level and its sign together in a byte, for which a table of 64 bytes has the
/// code: its lower four bits, in another table its upper four, in a third one all.
/// </summary>
static unsafe class GridLanes512
{
    public static readonly ushort* Iq2XxsBook = Book(CodeGrid.Iq2Xxs), Iq2XsBook = Book(CodeGrid.Iq2Xs), Iq2SBook = Book(CodeGrid.Iq2S);
    public static readonly ushort* Iq3XxsBook = Book(CodeGrid.Iq3Xxs), Iq3SBook = Book(CodeGrid.Iq3S);

    /// <summary>Lower and upper four bits of the codes, and the codes.</summary>
    public static readonly byte* Iq2XxsCodes = CodesOf(CodeGrid.Iq2Xxs, 128), Iq2XsCodes = CodesOf(CodeGrid.Iq2Xs, 64);
    public static readonly byte* Iq3XxsCodes = CodesOf(CodeGrid.Iq3Xxs, 128);

    /// <summary>Where the third of those tables begins, in bytes.</summary>
    public const int WholeCodes = 2 * 64;

    /// <summary>8 + h, or 7 - h where the sign is set.</summary>
    public static readonly byte* Iq3SCodes = Table(64, i => (byte)((i & 8) == 0 ? 8 + (i & 7) : 7 - (i & 7)));

    static readonly ushort* Iq1Book = Book(CodeGrid.Iq1);

    /// <summary>The codes of a level and of a negative shift above it.</summary>
    static readonly byte* Iq1SCodes = Table(64, i => (byte)(8 * (i & 3) + ((i & 4) == 0 ? 2 : 0)));
    static readonly byte* Iq1MCodes = Table(64, i => (byte)(8 * (i & 3) + ((i & 4) == 0 ? 25 : 23)));

    /// <summary>Eight signs for seven.</summary>
    public static readonly byte* EvenSigns = Table(128, i => (byte)(i | (BitOperations.PopCount((uint)i) & 1) << 7));

    /// <summary>Brings the four 2-bit levels of byte n of a 32-bit lane into its bytes, and the 3-bit ones of its 16-bit word n.</summary>
    public static readonly byte* TwoBitShifts = Shifts(4, n => 8 * n, 2), ThreeBitShifts = Shifts(2, n => 16 * n, 3);

    /// <summary>Brings the signs 4 n .. 4 n + 3 of a lane above the levels.</summary>
    public static readonly byte* SignsAboveTwoBits = Shifts(8, n => 4 * n - 2, 1), SignsAboveThreeBits = Shifts(8, n => 4 * n - 3, 1);

    public static readonly byte* SevenBitShifts = Shifts(1, _ => 0, 7);

    /// <summary>
    /// Codes of 16 rows can be had here. A caller compares the type of its vectors itself, so that the compiler drops the other case before it counts how much
    /// it puts in line.
    /// </summary>
    public static bool IsSupported
    {
        [MethodImpl(AggressiveInlining)]
        get => Avx512Vbmi.IsSupported;
    }

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Iq2Xxs<TParts, V>(byte* planes, out Codes<V> upper) where TParts : ICodeParts<V> where V : struct
    {
        var indices = Vector512.Load(planes).AsUInt16();
        var signs = Signs(Vector512.Load(planes + CodePlanes.VectorBytes));
        return Eights<TParts, V>(
            Find256(Iq2XxsBook, indices & Vector512.Create((ushort)0xff)), Find256(Iq2XxsBook, indices >>> 8), signs, Iq2XxsCodes, out upper);
    }

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Iq2S<TParts, V>(byte* small, byte* planes, out Codes<V> upper) where TParts : ICodeParts<V> where V : struct
    {
        var indices = Vector512.Load(planes).AsUInt16();
        var high = Twice(small + RowGroup.Rows);
        var even = Find1024(Iq2SBook, indices & Vector512.Create((ushort)0xff), IsSet(high, 0x0010_0001), IsSet(high, 0x0020_0002));
        var odd = Find1024(Iq2SBook, indices >>> 8, IsSet(high, 0x0040_0004), IsSet(high, 0x0080_0008));
        return Eights<TParts, V>(even, odd, Vector512.Load(planes + CodePlanes.VectorBytes), Iq2XsCodes, out upper);
    }

    /// <summary>The words of a lane are neighbours here, columns 0..15 in the first vector; the signs of its bytes 1 and 2 change places.</summary>
    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Iq2Xs<TParts, V>(byte* planes, out Codes<V> upper) where TParts : ICodeParts<V> where V : struct
    {
        var (first, second) = (Vector512.Load(planes).AsUInt16(), Vector512.Load(planes + CodePlanes.VectorBytes).AsUInt16());
        var signs = Even((first >>> 9 | (second >>> 9) << 8).AsByte());
        var mask = Vector512.Create((ushort)0xff);
        var a = Find512(Iq2XsBook, first & mask, IsSet(first, 0x0100_0100)).AsByte();
        var b = Find512(Iq2XsBook, second & mask, IsSet(second, 0x0100_0100)).AsByte();
        Bytes i0 = TwoBits(a, 0, signs, 0), i1 = TwoBits(a, 1, signs, 1), i2 = TwoBits(a, 2, signs, 4), i3 = TwoBits(a, 3, signs, 5);
        Bytes i4 = TwoBits(b, 0, signs, 2), i5 = TwoBits(b, 1, signs, 3), i6 = TwoBits(b, 2, signs, 6), i7 = TwoBits(b, 3, signs, 7);
        return Codes<TParts, V>(Iq2XsCodes, i0, i1, i2, i3, i4, i5, i6, i7, out upper);
    }

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Iq3Xxs<TParts, V>(byte* planes, out Codes<V> upper) where TParts : ICodeParts<V> where V : struct
    {
        var (first, second) = (Vector512.Load(planes).AsUInt16(), Vector512.Load(planes + CodePlanes.VectorBytes).AsUInt16());
        var signs = Signs(Vector512.Load(planes + 2 * CodePlanes.VectorBytes));
        var mask = Vector512.Create((ushort)0xff);
        Bytes a = Find256(Iq3XxsBook, first & mask).AsByte(), b = Find256(Iq3XxsBook, first >>> 8).AsByte();
        Bytes c = Find256(Iq3XxsBook, second & mask).AsByte(), d = Find256(Iq3XxsBook, second >>> 8).AsByte();
        Bytes i0 = ThreeBits(a, 0, signs, 0), i1 = ThreeBits(b, 0, signs, 1), i2 = ThreeBits(a, 1, signs, 2), i3 = ThreeBits(b, 1, signs, 3);
        Bytes i4 = ThreeBits(c, 0, signs, 4), i5 = ThreeBits(d, 0, signs, 5), i6 = ThreeBits(c, 1, signs, 6), i7 = ThreeBits(d, 1, signs, 7);
        return Codes<TParts, V>(Iq3XxsCodes, i0, i1, i2, i3, i4, i5, i6, i7, out upper);
    }

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Iq3S<V>(byte* small, byte* planes) where V : struct
    {
        var (first, second) = (Vector512.Load(planes).AsUInt16(), Vector512.Load(planes + CodePlanes.VectorBytes).AsUInt16());
        var signs = Vector512.Load(planes + 2 * CodePlanes.VectorBytes);
        var (mask, high) = (Vector512.Create((ushort)0xff), Twice(small + RowGroup.Rows));
        Bytes a = Find512(Iq3SBook, first & mask, IsSet(high, 0x0004_0001)).AsByte(), b = Find512(Iq3SBook, first >>> 8, IsSet(high, 0x0008_0002)).AsByte();
        Bytes c = Find512(Iq3SBook, second & mask, IsSet(high, 0x0040_0010)).AsByte(), d = Find512(Iq3SBook, second >>> 8, IsSet(high, 0x0080_0020)).AsByte();
        return Codes<V>(
            Iq3SCodes,
            ThreeBits(a, 0, signs, 0), ThreeBits(b, 0, signs, 1), ThreeBits(a, 1, signs, 2), ThreeBits(b, 1, signs, 3),
            ThreeBits(c, 0, signs, 4), ThreeBits(d, 0, signs, 5), ThreeBits(c, 1, signs, 6), ThreeBits(d, 1, signs, 7));
    }

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Iq1S<V>(byte* small, byte* planes) where V : struct
    {
        var high = Twice(small) | Twice(small + RowGroup.Rows) << 8;
        var indices = Vector512.Load(planes).AsUInt16();
        var even = Find2048(Iq1Book, indices & Vector512.Create((ushort)0xff), IsSet(high, 0x0040_0001), IsSet(high, 0x0080_0002), IsSet(high, 0x0100_0004));
        var odd = Find2048(Iq1Book, indices >>> 8, IsSet(high, 0x0200_0008), IsSet(high, 0x0400_0010), IsSet(high, 0x0800_0020));
        return Eights<V>(even, odd, IsSet(high, 0x8000_8000).AsByte(), Iq1SCodes);
    }

    [MethodImpl(AggressiveInlining)]
    public static Codes<V> Iq1M<V>(byte* small, byte* planes) where V : struct
    {
        var high = Vector512.ConditionalSelect(Vector512.Create(0x0000_ffffu).AsUInt16(), Twice(small), Twice(small + RowGroup.Rows));
        var indices = Vector512.Load(planes).AsUInt16();
        var even = Find2048(Iq1Book, indices & Vector512.Create((ushort)0xff), IsSet(high, 0x0001_0001), IsSet(high, 0x0002_0002), IsSet(high, 0x0004_0004));
        var odd = Find2048(Iq1Book, indices >>> 8, IsSet(high, 0x0010_0010), IsSet(high, 0x0020_0020), IsSet(high, 0x0040_0040));
        var shifts = Vector512.ConditionalSelect(Vector512.Create((ushort)0xff), IsSet(high, 0x0008_0008), IsSet(high, 0x0080_0080));
        return Eights<V>(even, odd, shifts.AsByte(), Iq1MCodes);
    }

    [MethodImpl(AggressiveInlining)]
    static Codes<V> Eights<V>(Words even, Words odd, Bytes signs, byte* codes) where V : struct
    {
        var (a, b) = (even.AsByte(), odd.AsByte());
        return Codes<V>(
            codes, TwoBits(a, 0, signs, 0), TwoBits(a, 1, signs, 1), TwoBits(b, 0, signs, 2), TwoBits(b, 1, signs, 3),
            TwoBits(a, 2, signs, 4), TwoBits(a, 3, signs, 5), TwoBits(b, 2, signs, 6), TwoBits(b, 3, signs, 7));
    }

    /// <param name="even">Entries of columns 0..7 and 16..23 in a lane.</param>
    /// <param name="odd">Entries of columns 8..15 and 24..31.</param>
    [MethodImpl(AggressiveInlining)]
    static Codes<V> Eights<TParts, V>(Words even, Words odd, Bytes signs, byte* codes, out Codes<V> upper) where TParts : ICodeParts<V> where V : struct
    {
        var (a, b) = (even.AsByte(), odd.AsByte());
        Bytes i0 = TwoBits(a, 0, signs, 0), i1 = TwoBits(a, 1, signs, 1), i2 = TwoBits(b, 0, signs, 2), i3 = TwoBits(b, 1, signs, 3);
        Bytes i4 = TwoBits(a, 2, signs, 4), i5 = TwoBits(a, 3, signs, 5), i6 = TwoBits(b, 2, signs, 6), i7 = TwoBits(b, 3, signs, 7);
        return Codes<TParts, V>(codes, i0, i1, i2, i3, i4, i5, i6, i7, out upper);
    }

    /// <param name="codes">Three tables, as <see cref="CodesOf"/> makes them.</param>
    [MethodImpl(AggressiveInlining)]
    static Codes<V> Codes<TParts, V>(
        byte* codes, Bytes i0, Bytes i1, Bytes i2, Bytes i3, Bytes i4, Bytes i5, Bytes i6, Bytes i7, out Codes<V> upper)
        where TParts : ICodeParts<V> where V : struct
    {
        upper = default;
        if (!TParts.InParts) return Codes<V>(codes + WholeCodes, i0, i1, i2, i3, i4, i5, i6, i7);
        upper = Codes<V>(codes + CodePlanes.VectorBytes, i0, i1, i2, i3, i4, i5, i6, i7);
        return Codes<V>(codes, i0, i1, i2, i3, i4, i5, i6, i7);
    }

    [MethodImpl(AggressiveInlining)]
    static Codes<V> Codes<V>(byte* codes, Bytes i0, Bytes i1, Bytes i2, Bytes i3, Bytes i4, Bytes i5, Bytes i6, Bytes i7) where V : struct
    {
        var table = Vector512.Load(codes);
        return new(
            As<V>(table, i0), As<V>(table, i1), As<V>(table, i2), As<V>(table, i3), As<V>(table, i4), As<V>(table, i5), As<V>(table, i6), As<V>(table, i7));
    }

    [MethodImpl(AggressiveInlining)]
    static V As<V>(Bytes table, Bytes indices) where V : struct => (V)(object)Avx512Vbmi.PermuteVar64x8(table, indices);

    /// <summary>A level in the lowest two bits of a byte, the sign above it, anything above that.</summary>
    [MethodImpl(AggressiveInlining)]
    static Bytes TwoBits(Bytes entries, int n, Bytes signs, int sign) => Vector512.ConditionalSelect(
        Vector512.Create((byte)3), Shift(entries, TwoBitShifts, n), Shift(signs, SignsAboveTwoBits, sign));

    [MethodImpl(AggressiveInlining)]
    static Bytes ThreeBits(Bytes entries, int n, Bytes signs, int sign) => Vector512.ConditionalSelect(
        Vector512.Create((byte)7), Shift(entries, ThreeBitShifts, n), Shift(signs, SignsAboveThreeBits, sign));

    [MethodImpl(AggressiveInlining)]
    static Bytes Shift(Bytes lanes, byte* shifts, int n) => Avx512Vbmi.MultiShift(Vector512.Load(shifts + 64 * n), lanes.AsUInt64());

    /// <summary>32 signs of a lane that has four times seven.</summary>
    [MethodImpl(AggressiveInlining)]
    static Bytes Signs(Bytes lanes) => Even(Shift(lanes, SevenBitShifts, 0));

    [MethodImpl(AggressiveInlining)]
    static Bytes Even(Bytes signs) => Avx512Vbmi.PermuteVar64x8x2(Vector512.Load(EvenSigns), signs, Vector512.Load(EvenSigns + 64));

    /// <summary>A byte for each lane, in both of its words.</summary>
    [MethodImpl(AggressiveInlining)]
    static Words Twice(byte* bytes)
    {
        var lanes = Avx512F.ConvertToVector512UInt32(Vector128.Load(bytes));
        return (lanes | lanes << 16).AsUInt16();
    }

    [MethodImpl(AggressiveInlining)]
    static Words IsSet(Words words, uint bit) => ~Vector512.Equals(words & Vector512.Create(bit).AsUInt16(), Words.Zero);

    [MethodImpl(AggressiveInlining)]
    static Words Find2048(ushort* book, Words indices, Words bit8, Words bit9, Words bit10) =>
        Vector512.ConditionalSelect(bit10, Find1024(book + 1024, indices, bit8, bit9), Find1024(book, indices, bit8, bit9));

    [MethodImpl(AggressiveInlining)]
    static Words Find1024(ushort* book, Words indices, Words bit8, Words bit9) =>
        Vector512.ConditionalSelect(bit9, Find512(book + 512, indices, bit8), Find512(book, indices, bit8));

    [MethodImpl(AggressiveInlining)]
    static Words Find512(ushort* book, Words indices, Words bit8) => Vector512.ConditionalSelect(bit8, Find256(book + 256, indices), Find256(book, indices));

    [MethodImpl(AggressiveInlining)]
    static Words Find256(ushort* book, Words indices)
    {
        var (bit6, bit7) = (IsSet(indices, 0x0040_0040), IsSet(indices, 0x0080_0080));
        var lower = Vector512.ConditionalSelect(bit6, Find64(book + 64, indices), Find64(book, indices));
        return Vector512.ConditionalSelect(bit7, Vector512.ConditionalSelect(bit6, Find64(book + 192, indices), Find64(book + 128, indices)), lower);
    }

    [MethodImpl(AggressiveInlining)]
    static Words Find64(ushort* book, Words indices) => Avx512BW.PermuteVar32x16x2(Vector512.Load(book), indices, Vector512.Load(book + 32));

    static ushort* Book(CodeGrid grid)
    {
        var book = (ushort*)NativeMemory.AlignedAlloc((nuint)grid.Count * sizeof(ushort), 64);
        for (var entry = 0; entry < grid.Count; entry++) book[entry] = grid.Levels(entry);
        return book;
    }

    /// <param name="offset">The code of a magnitude of zero.</param>
    static byte* CodesOf(CodeGrid grid, int offset)
    {
        var levels = grid.Columns == 4 ? 8 : 4;
        int Code(int i) => offset + ((i & levels) == 0 ? 1 : -1) * grid.Magnitude(i & (levels - 1));
        return Table(3 * 64, i => (byte)(i < 64 ? Code(i) & 15 : i < 128 ? Code(i - 64) >> 4 : Code(i - 128)));
    }

    /// <summary>Where the bytes of two lanes of 32 bits begin, of the 64 bits that both have.</summary>
    static byte* Shifts(int count, Func<int, int> start, int step) =>
        Table(64 * count, i => (byte)(start(i / 64) + step * (i % 4) + (i % 8 < 4 ? 0 : 32) & 63));

    static byte* Table(int count, Func<int, byte> value)
    {
        var table = (byte*)NativeMemory.AlignedAlloc((nuint)count, 64);
        for (var i = 0; i < count; i++) table[i] = value(i);
        return table;
    }
}

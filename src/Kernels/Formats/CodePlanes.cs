using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LlamaCluster.Kernels.Lanes;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// Codes of 16 rows x 32 columns, spread over planes of 4, 2 and 1 bits that are vectors of 16 lanes (64 bytes), one lane a row.
/// With c_v for the four bytes that hold columns 4v .. 4v + 3 of a row (see <see cref="Codes{V}"/>), a lane of
/// <code>
/// a 4-bit plane, 4 vectors, holds  c_v | c_(v+4) &lt;&lt; 4                              in vector v
/// a 2-bit plane, 2 vectors, holds  c_4u | c_(4u+1) &lt;&lt; 2 | c_(4u+2) &lt;&lt; 4 | c_(4u+3) &lt;&lt; 6   in vector u
/// a 1-bit plane, 1 vector, holds   c_0 | c_1 &lt;&lt; 1 | ... | c_7 &lt;&lt; 7
/// </code>
/// 8-bit codes stand as they are in 8 vectors.
/// </summary>
static unsafe class CodePlanes
{
    /// <summary>One bit of 32 columns of 16 rows.</summary>
    public const int VectorBytes = 64;

    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Puts one row's codes into its lanes.</summary>
    /// <param name="planes">The row's lane in the first vector.</param>
    [MethodImpl(Inline)]
    public static void Store(byte* planes, int codeBits, in StoredBlock block)
    {
        var (first, second) = (block.First.AsUInt32(), block.Second.AsUInt32());
        if (codeBits == 8)
        {
            StoreLanes(planes, first);
            StoreLanes(planes + 4 * VectorBytes, second);
            return;
        }

        var bit = 0;
        if (codeBits >= 4)
        {
            StoreLanes(planes, (first & Vector128.Create(0x0f0f_0f0fu)) | ((second & Vector128.Create(0x0f0f_0f0fu)) << 4));
            planes += 4 * VectorBytes;
            bit = 4;
        }

        if (codeBits - bit >= 2)
        {
            Unsafe.WriteUnaligned(planes, Gather((first >> bit) & Vector128.Create(0x0303_0303u), 2));
            Unsafe.WriteUnaligned(planes + VectorBytes, Gather((second >> bit) & Vector128.Create(0x0303_0303u), 2));
            planes += 2 * VectorBytes;
            bit += 2;
        }

        if (codeBits - bit >= 1)
        {
            var ones = Vector128.Create(0x0101_0101u);
            Unsafe.WriteUnaligned(planes, Gather((first >> bit) & ones, 1) | Gather((second >> bit) & ones, 1) << 4);
        }
    }

    /// <summary>Puts 32-bit words of one row, as they are stored, into its lanes of as many vectors.</summary>
    [MethodImpl(Inline)]
    public static void StoreWords(byte* planes, int count, Vector128<byte> words)
    {
        for (var i = 0; i < count; i++) Unsafe.WriteUnaligned(planes + i * VectorBytes, words.AsUInt32()[i]);
    }

    /// <summary>The codes of a register's rows in the parts that sums of 8-bit codes take; 3-bit codes come times 8.</summary>
    /// <param name="planes">The first row's lane in the first vector.</param>
    /// <param name="codeBits">A constant where this is called, so that one case is left.</param>
    [MethodImpl(Inline)]
    public static Codes<V> Load<TLanes, TParts, V>(byte* planes, int codeBits, out Codes<V> upper)
        where TLanes : ILanes<V> where TParts : ICodeParts<V> where V : struct
    {
        var codes = Load<TLanes, V>(planes, codeBits);
        if (codeBits == 8) return Codes<V>.Of8Bits<TParts>(codes, 128, out upper);
        upper = default;
        return codes;
    }

    /// <summary>The codes of a register's rows; 3-bit codes come times 8.</summary>
    /// <param name="planes">The first row's lane in the first vector.</param>
    /// <param name="codeBits">A constant where this is called, so that one case is left.</param>
    [MethodImpl(Inline)]
    public static Codes<V> Load<TLanes, V>(byte* planes, int codeBits) where TLanes : ILanes<V> where V : struct => codeBits switch
    {
        8 => Codes8<TLanes, V>(planes),
        6 => Join<TLanes, V>(Codes4<TLanes, V>(planes), TwoBits<TLanes, V>(planes + 4 * VectorBytes, 4)),
        5 => Join<TLanes, V>(Codes4<TLanes, V>(planes), OneBit<TLanes, V>(planes + 4 * VectorBytes, 4)),
        4 => Codes4<TLanes, V>(planes),
        3 => Join<TLanes, V>(TwoBits<TLanes, V>(planes, 3), OneBit<TLanes, V>(planes + 2 * VectorBytes, 5)),
        2 => TwoBits<TLanes, V>(planes, 0),
        _ => OneBit<TLanes, V>(planes, 0),
    };

    [MethodImpl(Inline)]
    static Codes<V> Codes8<TLanes, V>(byte* planes) where TLanes : ILanes<V> where V : struct => new(
        Vector<TLanes, V>(planes, 0), Vector<TLanes, V>(planes, 1), Vector<TLanes, V>(planes, 2), Vector<TLanes, V>(planes, 3),
        Vector<TLanes, V>(planes, 4), Vector<TLanes, V>(planes, 5), Vector<TLanes, V>(planes, 6), Vector<TLanes, V>(planes, 7));

    [MethodImpl(Inline)]
    static Codes<V> Codes4<TLanes, V>(byte* planes) where TLanes : ILanes<V> where V : struct
    {
        var (v0, v1, v2, v3) = (Vector<TLanes, V>(planes, 0), Vector<TLanes, V>(planes, 1), Vector<TLanes, V>(planes, 2), Vector<TLanes, V>(planes, 3));
        return new(
            Field<TLanes, V>(v0, 0, 0x0f), Field<TLanes, V>(v1, 0, 0x0f), Field<TLanes, V>(v2, 0, 0x0f), Field<TLanes, V>(v3, 0, 0x0f),
            Field<TLanes, V>(v0, 4, 0x0f), Field<TLanes, V>(v1, 4, 0x0f), Field<TLanes, V>(v2, 4, 0x0f), Field<TLanes, V>(v3, 4, 0x0f));
    }

    /// <summary>A plane of two bits, brought to bit <paramref name="to"/> of each byte.</summary>
    [MethodImpl(Inline)]
    static Codes<V> TwoBits<TLanes, V>(byte* plane, int to) where TLanes : ILanes<V> where V : struct
    {
        var (v0, v1) = (Vector<TLanes, V>(plane, 0), Vector<TLanes, V>(plane, 1));
        var mask = (byte)(3 << to);
        return new(
            Field<TLanes, V>(v0, -to, mask), Field<TLanes, V>(v0, 2 - to, mask), Field<TLanes, V>(v0, 4 - to, mask), Field<TLanes, V>(v0, 6 - to, mask),
            Field<TLanes, V>(v1, -to, mask), Field<TLanes, V>(v1, 2 - to, mask), Field<TLanes, V>(v1, 4 - to, mask), Field<TLanes, V>(v1, 6 - to, mask));
    }

    /// <summary>A plane of one bit, brought to bit <paramref name="to"/> of each byte.</summary>
    [MethodImpl(Inline)]
    static Codes<V> OneBit<TLanes, V>(byte* plane, int to) where TLanes : ILanes<V> where V : struct
    {
        var v = TLanes.Load(plane);
        var mask = (byte)(1 << to);
        return new(
            Field<TLanes, V>(v, -to, mask), Field<TLanes, V>(v, 1 - to, mask), Field<TLanes, V>(v, 2 - to, mask), Field<TLanes, V>(v, 3 - to, mask),
            Field<TLanes, V>(v, 4 - to, mask), Field<TLanes, V>(v, 5 - to, mask), Field<TLanes, V>(v, 6 - to, mask), Field<TLanes, V>(v, 7 - to, mask));
    }

    /// <summary>The bits of <paramref name="mask"/> in each byte, after a shift to the right (to the left if negative).</summary>
    [MethodImpl(Inline)]
    static V Field<TLanes, V>(V v, int shift, byte mask) where TLanes : ILanes<V> where V : struct
    {
        var shifted = shift > 0 ? TLanes.ShiftRight(v, shift) : shift < 0 ? TLanes.ShiftLeft(v, -shift) : v;
        return TLanes.And(shifted, TLanes.Spread(mask * 0x0101_0101u));
    }

    [MethodImpl(Inline)]
    static Codes<V> Join<TLanes, V>(in Codes<V> a, in Codes<V> b) where TLanes : ILanes<V> where V : struct => new(
        TLanes.Or(a.C0, b.C0), TLanes.Or(a.C1, b.C1), TLanes.Or(a.C2, b.C2), TLanes.Or(a.C3, b.C3),
        TLanes.Or(a.C4, b.C4), TLanes.Or(a.C5, b.C5), TLanes.Or(a.C6, b.C6), TLanes.Or(a.C7, b.C7));

    [MethodImpl(Inline)]
    static V Vector<TLanes, V>(byte* planes, int v) where TLanes : ILanes<V> where V : struct => TLanes.Load(planes + v * VectorBytes);

    [MethodImpl(Inline)]
    static void StoreLanes(byte* planes, Vector128<uint> four)
    {
        Unsafe.WriteUnaligned(planes, four[0]);
        Unsafe.WriteUnaligned(planes + VectorBytes, four[1]);
        Unsafe.WriteUnaligned(planes + 2 * VectorBytes, four[2]);
        Unsafe.WriteUnaligned(planes + 3 * VectorBytes, four[3]);
    }

    /// <summary>Element 0, and the others shifted to stand above it. Each byte of an element has <paramref name="bits"/> bits at most.</summary>
    [MethodImpl(Inline)]
    static uint Gather(Vector128<uint> four, int bits)
    {
        var pairs = four.AsUInt64();
        pairs |= pairs >>> (32 - bits);
        return (uint)pairs[0] | (uint)pairs[1] << 2 * bits;
    }
}

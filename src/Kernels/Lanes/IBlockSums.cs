using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LlamaCluster.Kernels.Formats;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>In which form sums take codes of 8 bits.</summary>
interface ICodeParts<V> where V : struct
{
    /// <summary>In two parts; else they are whole, and there is no second part.</summary>
    static abstract bool InParts { get; }

    /// <summary>Which of the tables of <see cref="Codes{V}.Lookup8Bits"/> the first part is in; the second one's is next to it.</summary>
    static abstract int Table { get; }

    /// <summary>The first part of four columns' codes.</summary>
    /// <param name="offset">The code that stands for zero.</param>
    static abstract V First(V codes, int offset);

    /// <summary>The second part.</summary>
    static abstract V Second(V codes, int offset);
}

/// <summary>Codes of 8 bits as they are.</summary>
readonly struct WholeCodes<V> : ICodeParts<V> where V : struct
{
    public static bool InParts => false;

    public static int Table => 0;

    public static V First(V codes, int offset) => codes;

    public static V Second(V codes, int offset) => default;
}

/// <summary>Exact integer sums over the 32 columns of a block, for each of a register's rows and one activation row.</summary>
unsafe interface IBlockSums<V> : ICodeParts<V> where V : struct
{
    /// <summary>Sum of codes x activations; codes below 16.</summary>
    static abstract V Of4Bits(in Codes<V> codes, ActivationBlock* x);

    /// <summary>Sum of codes x activations; codes below 32.</summary>
    static abstract V Of5Bits(in Codes<V> codes, ActivationBlock* x);

    /// <summary>The sums of codes x activations over columns 0..15 and over columns 16..31; codes below 32.</summary>
    static abstract void Halves5Bits(in Codes<V> codes, ActivationBlock* x, out V first, out V second);

    /// <summary>Sum of (code - 128) x activations.</summary>
    static abstract V Of8Bits(in Codes<V> codes, in Codes<V> upper, ActivationBlock* x);

    /// <summary>Sum of scale x code x activation; codes below 4.</summary>
    /// <param name="first">Scale of columns 0..15, 0..15, made by <see cref="SubScale"/>.</param>
    /// <param name="second">Scale of columns 16..31.</param>
    static abstract V Scaled2Bits(in Codes<V> codes, ActivationBlock* x, V first, V second);

    /// <summary>Sum of scale x (code - 32) x activation; codes below 64, scales -128..127.</summary>
    static abstract V Scaled6Bits(in Codes<V> codes, ActivationBlock* x, V first, V second);

    /// <summary>Sum of scale x (code - 64) x activation; codes below 128 in two parts, scales 0..127.</summary>
    static abstract V Scaled7Bits(in Codes<V> codes, in Codes<V> upper, ActivationBlock* x, V first, V second);

    /// <summary>Ints -128..127 in the form that the scaled sums take.</summary>
    static abstract V SubScale(V ints);
}

/// <summary>
/// The unsigned codes of 32 columns of as many rows as a register has lanes: register v holds, in each lane, columns 4v .. 4v + 3 of that
/// lane's row, the first in the lowest byte.
/// </summary>
[method: MethodImpl(MethodImplOptions.AggressiveInlining)]
readonly struct Codes<V>(V c0, V c1, V c2, V c3, V c4, V c5, V c6, V c7) where V : struct
{
    public readonly V C0 = c0, C1 = c1, C2 = c2, C3 = c3, C4 = c4, C5 = c5, C6 = c6, C7 = c7;

    /// <summary>Puts the vectors into memory, each <see cref="CodePlanes.VectorBytes"/> behind the one before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public unsafe void Store<TLanes>(byte* place) where TLanes : ILanes<V>
    {
        TLanes.Store(C0, place);
        TLanes.Store(C1, place + CodePlanes.VectorBytes);
        TLanes.Store(C2, place + 2 * CodePlanes.VectorBytes);
        TLanes.Store(C3, place + 3 * CodePlanes.VectorBytes);
        TLanes.Store(C4, place + 4 * CodePlanes.VectorBytes);
        TLanes.Store(C5, place + 5 * CodePlanes.VectorBytes);
        TLanes.Store(C6, place + 6 * CodePlanes.VectorBytes);
        TLanes.Store(C7, place + 7 * CodePlanes.VectorBytes);
    }

    /// <summary>8-bit codes as <typeparamref name="TParts"/> has them, done once for all activation rows.</summary>
    /// <param name="offset">The code that stands for zero.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Codes<V> Of8Bits<TParts>(in Codes<V> codes, int offset, out Codes<V> second) where TParts : ICodeParts<V>
    {
        second = default;
        if (!TParts.InParts) return codes;
        second = new(
            TParts.Second(codes.C0, offset), TParts.Second(codes.C1, offset), TParts.Second(codes.C2, offset), TParts.Second(codes.C3, offset),
            TParts.Second(codes.C4, offset), TParts.Second(codes.C5, offset), TParts.Second(codes.C6, offset), TParts.Second(codes.C7, offset));
        return new(
            TParts.First(codes.C0, offset), TParts.First(codes.C1, offset), TParts.First(codes.C2, offset), TParts.First(codes.C3, offset),
            TParts.First(codes.C4, offset), TParts.First(codes.C5, offset), TParts.First(codes.C6, offset), TParts.First(codes.C7, offset));
    }

    /// <summary>8-bit codes that a table has for codes below 16. Two parts come out of two tables: no more work than codes of four bits take twice.</summary>
    /// <param name="tables">Tables of 16 bytes: the codes; the parts of <see cref="PairSums{TLanes, V}"/>; those of <see cref="SignSums{TLanes, V}"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe Codes<V> Lookup8Bits<TLanes, TParts>(in Codes<V> codes, byte* tables, out Codes<V> second)
        where TLanes : ILanes<V> where TParts : ICodeParts<V>
    {
        tables += 16 * TParts.Table;
        second = TParts.InParts ? Lookup<TLanes>(codes, tables + 16) : default;
        return Lookup<TLanes>(codes, tables);
    }

    /// <summary>What a table of 16 bytes has for codes below 16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe Codes<V> Lookup<TLanes>(in Codes<V> codes, byte* table) where TLanes : ILanes<V> => new(
        TLanes.Lookup(table, codes.C0), TLanes.Lookup(table, codes.C1), TLanes.Lookup(table, codes.C2), TLanes.Lookup(table, codes.C3),
        TLanes.Lookup(table, codes.C4), TLanes.Lookup(table, codes.C5), TLanes.Lookup(table, codes.C6), TLanes.Lookup(table, codes.C7));
}

/// <summary>
/// 32 columns of one activation row as 8-bit integers, x = Scale q, with the sums that offsets and minima of the weights' codes are
/// multiplied by. One cache line.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
unsafe struct ActivationBlock
{
    /// <summary>Columns of a block.</summary>
    public const int Columns = 32;

    /// <summary>q, -127..127.</summary>
    public fixed sbyte Values[Columns];

    /// <summary>
    /// The largest |x| of the block, or of the eight blocks that share a scale, over 127; not a number if they hold an infinity or no number.
    /// </summary>
    public float Scale;

    /// <summary>Scale x the sum of q.</summary>
    public float ScaledSum;

    /// <summary>-8 x <see cref="ScaledSum"/>: the offset of 4-bit codes.</summary>
    public float Minus8ScaledSum;

    /// <summary>-16 x <see cref="ScaledSum"/>: the offset of 5-bit codes.</summary>
    public float Minus16ScaledSum;

    /// <summary>-128 x the sum of q: the offset of 8-bit codes.</summary>
    public int Minus128Sum;

    /// <summary>The sums of q over columns 0..15 and 16..31.</summary>
    public fixed short HalfSums[2];

    /// <summary>
    /// -32 x the sums of q over the columns whose pair products meet in one 16-bit number: of columns 0..15 those with c mod 4 = 0, 1 and
    /// those with c mod 4 = 2, 3; likewise of columns 16..31.
    /// </summary>
    public fixed short Minus32Pairs[4];
}

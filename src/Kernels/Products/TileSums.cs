using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;
using Ints = System.Runtime.Intrinsics.Vector256<int>;
using Shorts = System.Runtime.Intrinsics.Vector256<short>;

namespace LlamaCluster.Kernels.Products;

/// <summary>A block of 16 rows of weights, unpacked.</summary>
unsafe struct TileOperands
{
    /// <summary>Vector v has columns 4v .. 4v + 3 of all rows (see <see cref="Codes{V}"/>), 0..128.</summary>
    public fixed byte Magnitudes[ActivationBlock.Columns * RowGroup.Rows];

    /// <summary>Signed bytes in the same order, of which the signs count.</summary>
    public fixed byte Signs[ActivationBlock.Columns * RowGroup.Rows];

    /// <summary>d.</summary>
    public fixed float Scales[RowGroup.Rows];

    /// <summary>Integer scales of columns 0..15 and 16..31, of types that have them, as <see cref="IBlockSums{V}.SubScale"/> makes them.</summary>
    public fixed short FirstHalf[2 * RowGroup.Rows], SecondHalf[2 * RowGroup.Rows];
}

/// <summary>
/// The exact integer sums of a block's rows 0..7 and 8..15 with an activation row x, and with another one, y; formed as <see cref="SignSums{TLanes, V}"/> forms
/// them. Instructions are named here, not lanes: the compiler counts each call that it has to put in line, and gives up when there are too many.
/// </summary>
unsafe interface ITileSums
{
    /// <summary>Activation rows from which this is faster than one row at a time (measured, docs/engine-speed.md).</summary>
    static abstract int LeastRows { get; }

    static abstract void Of(TileOperands* w, ActivationBlock* x, ActivationBlock* y, out Ints x0, out Ints x1, out Ints y0, out Ints y1);
}

/// <summary>Sums of values of 8 bits.</summary>
readonly unsafe struct EightBitSums : ITileSums
{
    public static int LeastRows => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Of(TileOperands* w, ActivationBlock* x, ActivationBlock* y, out Ints x0, out Ints x1, out Ints y0, out Ints y1)
    {
        (x0, x1, y0, y1) = (default, default, default, default);
        Add(w, x, y, 0, ref x0, ref x1, ref y0, ref y1);
        Add(w, x, y, 1, ref x0, ref x1, ref y0, ref y1);
        Add(w, x, y, 2, ref x0, ref x1, ref y0, ref y1);
        Add(w, x, y, 3, ref x0, ref x1, ref y0, ref y1);
        Add(w, x, y, 4, ref x0, ref x1, ref y0, ref y1);
        Add(w, x, y, 5, ref x0, ref x1, ref y0, ref y1);
        Add(w, x, y, 6, ref x0, ref x1, ref y0, ref y1);
        Add(w, x, y, 7, ref x0, ref x1, ref y0, ref y1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Add(TileOperands* w, ActivationBlock* x, ActivationBlock* y, int v, ref Ints x0, ref Ints x1, ref Ints y0, ref Ints y1)
    {
        Shorts s0 = default, s1 = default, t0 = default, t1 = default;
        TilePairs.Add(w, x, y, v, ref s0, ref s1, ref t0, ref t1);
        TilePairs.Widen(s0, s1, t0, t1, TilePairs.Ones, TilePairs.Ones, ref x0, ref x1, ref y0, ref y1);
    }
}

/// <summary>Sums of values of 7 bits, each half times its scale.</summary>
readonly unsafe struct SevenBitSums : ITileSums
{
    public static int LeastRows => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Of(TileOperands* w, ActivationBlock* x, ActivationBlock* y, out Ints x0, out Ints x1, out Ints y0, out Ints y1)
    {
        (x0, x1, y0, y1) = (default, default, default, default);
        Add(w, x, y, 0, w->FirstHalf, ref x0, ref x1, ref y0, ref y1);
        Add(w, x, y, 2, w->FirstHalf, ref x0, ref x1, ref y0, ref y1);
        Add(w, x, y, 4, w->SecondHalf, ref x0, ref x1, ref y0, ref y1);
        Add(w, x, y, 6, w->SecondHalf, ref x0, ref x1, ref y0, ref y1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void Add(TileOperands* w, ActivationBlock* x, ActivationBlock* y, int v, short* scales, ref Ints x0, ref Ints x1, ref Ints y0, ref Ints y1)
    {
        Shorts s0 = default, s1 = default, t0 = default, t1 = default;
        TilePairs.Add(w, x, y, v, ref s0, ref s1, ref t0, ref t1);
        TilePairs.Add(w, x, y, v + 1, ref s0, ref s1, ref t0, ref t1);
        TilePairs.Widen(s0, s1, t0, t1, Vector256.Load(scales), Vector256.Load(scales + RowGroup.Rows), ref x0, ref x1, ref y0, ref y1);
    }
}

/// <summary>
/// Products of four columns, of magnitudes and of activations with the weights' signs, added up by twos in 16 bits. s is with x, t with y; 0 are rows 0..7 of
/// the weights, 1 are rows 8..15.
/// </summary>
static unsafe class TilePairs
{
    public static Shorts Ones
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Vector256.Create((short)1);
    }

    /// <summary>Four bytes in every lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Spread(void* source) => Vector256.Create(Unsafe.ReadUnaligned<int>(source)).AsSByte();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(TileOperands* w, ActivationBlock* x, ActivationBlock* y, int v, ref Shorts s0, ref Shorts s1, ref Shorts t0, ref Shorts t1)
    {
        byte* magnitudes = w->Magnitudes + v * CodePlanes.VectorBytes, signs = w->Signs + v * CodePlanes.VectorBytes;
        var (m0, m1) = (Vector256.Load(magnitudes), Vector256.Load(magnitudes + Vector256<byte>.Count));
        var (n0, n1) = (Vector256.Load(signs).AsSByte(), Vector256.Load(signs + Vector256<byte>.Count).AsSByte());
        var a = Spread(x->Values + 4 * v);
        s0 += Avx2.MultiplyAddAdjacent(m0, Avx2.Sign(a, n0));
        s1 += Avx2.MultiplyAddAdjacent(m1, Avx2.Sign(a, n1));
        a = Spread(y->Values + 4 * v);
        t0 += Avx2.MultiplyAddAdjacent(m0, Avx2.Sign(a, n0));
        t1 += Avx2.MultiplyAddAdjacent(m1, Avx2.Sign(a, n1));
    }

    /// <summary>Adds sums of 16 bits to those of 32 bits, each pair times the scales of its rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Widen(
        Shorts s0, Shorts s1, Shorts t0, Shorts t1, Shorts scales0, Shorts scales1, ref Ints x0, ref Ints x1, ref Ints y0, ref Ints y1)
    {
        x0 += Avx2.MultiplyAddAdjacent(s0, scales0);
        x1 += Avx2.MultiplyAddAdjacent(s1, scales1);
        y0 += Avx2.MultiplyAddAdjacent(t0, scales0);
        y1 += Avx2.MultiplyAddAdjacent(t1, scales1);
    }
}

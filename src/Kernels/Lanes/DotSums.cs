using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>Block sums out of four-byte dot products, which are exact whatever the codes.</summary>
readonly unsafe struct DotSums<TLanes, V> : IBlockSums<V> where TLanes : IDotLanes<V> where V : struct
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    public static bool InParts => false;

    public static int Table => 0;

    public static V First(V codes, int offset) => codes;

    public static V Second(V codes, int offset) => default;

    [MethodImpl(Inline)]
    public static V Of4Bits(in Codes<V> codes, ActivationBlock* x) => TLanes.Add(First(default, codes, x), Second(default, codes, x));

    [MethodImpl(Inline)]
    public static V Of5Bits(in Codes<V> codes, ActivationBlock* x) => Of4Bits(codes, x);

    [MethodImpl(Inline)]
    public static V Of8Bits(in Codes<V> codes, in Codes<V> upper, ActivationBlock* x) =>
        Dot8(Dot8(Dot8(Dot8(Dot8(Dot8(Dot8(Dot8(TLanes.StartOf8Bits(x),
            codes.C0, x, 0), codes.C1, x, 1), codes.C2, x, 2), codes.C3, x, 3), codes.C4, x, 4), codes.C5, x, 5), codes.C6, x, 6), codes.C7, x, 7);

    [MethodImpl(Inline)]
    public static V Scaled2Bits(in Codes<V> codes, ActivationBlock* x, V first, V second) =>
        TLanes.Add(TLanes.MultiplyInts(First(default, codes, x), first), TLanes.MultiplyInts(Second(default, codes, x), second));

    [MethodImpl(Inline)]
    public static V Scaled6Bits(in Codes<V> codes, ActivationBlock* x, V first, V second)
    {
        var ones = TLanes.Spread(0x0001_0001u);
        var start0 = TLanes.MultiplyAddShorts(TLanes.Spread(x->Minus32Pairs), ones);
        var start1 = TLanes.MultiplyAddShorts(TLanes.Spread(x->Minus32Pairs + 2), ones);
        return TLanes.Add(TLanes.MultiplyInts(First(start0, codes, x), first), TLanes.MultiplyInts(Second(start1, codes, x), second));
    }

    [MethodImpl(Inline)]
    public static void Halves5Bits(in Codes<V> codes, ActivationBlock* x, out V first, out V second) =>
        (first, second) = (First(default, codes, x), Second(default, codes, x));

    [MethodImpl(Inline)]
    public static V Scaled7Bits(in Codes<V> codes, in Codes<V> upper, ActivationBlock* x, V first, V second)
    {
        var twos = TLanes.Spread(0x0002_0002u);
        var start0 = TLanes.MultiplyAddShorts(TLanes.Spread(x->Minus32Pairs), twos);
        var start1 = TLanes.MultiplyAddShorts(TLanes.Spread(x->Minus32Pairs + 2), twos);
        return TLanes.Add(TLanes.MultiplyInts(First(start0, codes, x), first), TLanes.MultiplyInts(Second(start1, codes, x), second));
    }

    [MethodImpl(Inline)]
    public static V SubScale(V ints) => ints;

    /// <summary>Columns 0..15.</summary>
    [MethodImpl(Inline)]
    static V First(V sum, in Codes<V> codes, ActivationBlock* x) =>
        Dot(Dot(Dot(Dot(sum, codes.C0, x, 0), codes.C1, x, 1), codes.C2, x, 2), codes.C3, x, 3);

    /// <summary>Columns 16..31.</summary>
    [MethodImpl(Inline)]
    static V Second(V sum, in Codes<V> codes, ActivationBlock* x) =>
        Dot(Dot(Dot(Dot(sum, codes.C4, x, 4), codes.C5, x, 5), codes.C6, x, 6), codes.C7, x, 7);

    [MethodImpl(Inline)]
    static V Dot(V sum, V codes, ActivationBlock* x, int fourColumns) => TLanes.AddDot(sum, codes, TLanes.Spread(x->Values + 4 * fourColumns));

    [MethodImpl(Inline)]
    static V Dot8(V sum, V codes, ActivationBlock* x, int fourColumns) =>
        TLanes.AddDotOf8Bits(sum, codes, TLanes.Spread(x->Values + 4 * fourColumns));
}

using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>
/// Block sums out of pair products, of which those of 8-bit codes are formed as |code - offset| x (activation with its sign): half the products of
/// <see cref="PairSums{TLanes, V}"/>, and no sum of activations to take off. All sums are exact.
/// </summary>
readonly unsafe struct SignSums<TLanes, V> : IBlockSums<V> where TLanes : ISignLanes<V> where V : struct
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    public static bool InParts => true;

    public static int Table => 3;

    /// <summary>Magnitudes.</summary>
    [MethodImpl(Inline)]
    public static V First(V codes, int offset) => TLanes.Magnitudes(Second(codes, offset));

    /// <summary>Values, whose signs count.</summary>
    [MethodImpl(Inline)]
    public static V Second(V codes, int offset) => TLanes.LessOffset(codes, offset);

    [MethodImpl(Inline)]
    public static V Of4Bits(in Codes<V> codes, ActivationBlock* x) => PairSums<TLanes, V>.Of4Bits(codes, x);

    [MethodImpl(Inline)]
    public static V Of5Bits(in Codes<V> codes, ActivationBlock* x) => PairSums<TLanes, V>.Of5Bits(codes, x);

    /// <summary>A pair of products comes to 2 x 128 x 127 = 32512 at most, so that each is widened before it is added.</summary>
    [MethodImpl(Inline)]
    public static V Of8Bits(in Codes<V> codes, in Codes<V> upper, ActivationBlock* x) => TLanes.Add(
        TLanes.Add(
            TLanes.Add(Widened(codes.C0, upper.C0, x, 0), Widened(codes.C1, upper.C1, x, 1)),
            TLanes.Add(Widened(codes.C2, upper.C2, x, 2), Widened(codes.C3, upper.C3, x, 3))),
        TLanes.Add(
            TLanes.Add(Widened(codes.C4, upper.C4, x, 4), Widened(codes.C5, upper.C5, x, 5)),
            TLanes.Add(Widened(codes.C6, upper.C6, x, 6), Widened(codes.C7, upper.C7, x, 7))));

    [MethodImpl(Inline)]
    public static V Scaled2Bits(in Codes<V> codes, ActivationBlock* x, V first, V second) => PairSums<TLanes, V>.Scaled2Bits(codes, x, first, second);

    [MethodImpl(Inline)]
    public static V Scaled6Bits(in Codes<V> codes, ActivationBlock* x, V first, V second) => PairSums<TLanes, V>.Scaled6Bits(codes, x, first, second);

    [MethodImpl(Inline)]
    public static void Halves5Bits(in Codes<V> codes, ActivationBlock* x, out V first, out V second) =>
        PairSums<TLanes, V>.Halves5Bits(codes, x, out first, out second);

    /// <summary>Magnitudes are at most 64, so that two pairs of products fit: 4 x 64 x 127 = 32512.</summary>
    [MethodImpl(Inline)]
    public static V Scaled7Bits(in Codes<V> codes, in Codes<V> upper, ActivationBlock* x, V first, V second)
    {
        var (s0, s1) = (Pairs(codes.C0, upper.C0, codes.C1, upper.C1, x, 0), Pairs(codes.C2, upper.C2, codes.C3, upper.C3, x, 2));
        var (s2, s3) = (Pairs(codes.C4, upper.C4, codes.C5, upper.C5, x, 4), Pairs(codes.C6, upper.C6, codes.C7, upper.C7, x, 6));
        return TLanes.Add(
            TLanes.Add(TLanes.MultiplyAddShorts(s0, first), TLanes.MultiplyAddShorts(s1, first)),
            TLanes.Add(TLanes.MultiplyAddShorts(s2, second), TLanes.MultiplyAddShorts(s3, second)));
    }

    [MethodImpl(Inline)]
    public static V SubScale(V ints) => PairSums<TLanes, V>.SubScale(ints);

    [MethodImpl(Inline)]
    static V Widened(V magnitudes, V values, ActivationBlock* x, int fourColumns) =>
        TLanes.MultiplyAddShorts(Products(magnitudes, values, x, fourColumns), TLanes.Spread(0x0001_0001u));

    [MethodImpl(Inline)]
    static V Pairs(V magnitudes0, V values0, V magnitudes1, V values1, ActivationBlock* x, int fourColumns) =>
        TLanes.AddShorts(Products(magnitudes0, values0, x, fourColumns), Products(magnitudes1, values1, x, fourColumns + 1));

    [MethodImpl(Inline)]
    static V Products(V magnitudes, V values, ActivationBlock* x, int fourColumns) =>
        TLanes.MultiplyAddPairs(magnitudes, TLanes.WithSigns(TLanes.Spread(x->Values + 4 * fourColumns), values));
}

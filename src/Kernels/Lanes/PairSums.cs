using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Lanes;

/// <summary>
/// Block sums out of pair products. As many products as certainly fit are added up in 16 bits before they are widened: activations
/// are at most 127, so eight pairs of 4-bit codes come to 8 x 2 x 15 x 127 = 30480, four of 5-bit codes to 31496. All sums are exact.
/// </summary>
readonly unsafe struct PairSums<TLanes, V> : IBlockSums<V> where TLanes : IPairLanes<V> where V : struct
{
    const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>A product of an 8-bit code and an activation leaves little of 16 bits.</summary>
    public static bool InParts => true;

    public static int Table => 1;

    /// <summary>The lower four bits.</summary>
    [MethodImpl(Inline)]
    public static V First(V codes, int offset) => TLanes.And(codes, TLanes.Spread(0x0f0f_0f0fu));

    /// <summary>The upper four.</summary>
    [MethodImpl(Inline)]
    public static V Second(V codes, int offset) => First(TLanes.ShiftRight(codes, 4), offset);

    static V Ones
    {
        [MethodImpl(Inline)]
        get => TLanes.Spread(0x0001_0001u);
    }

    [MethodImpl(Inline)]
    public static V Of4Bits(in Codes<V> codes, ActivationBlock* x) =>
        TLanes.MultiplyAddShorts(TLanes.AddShorts(First(codes, x), Second(codes, x)), Ones);

    [MethodImpl(Inline)]
    public static V Of5Bits(in Codes<V> codes, ActivationBlock* x) =>
        TLanes.Add(TLanes.MultiplyAddShorts(First(codes, x), Ones), TLanes.MultiplyAddShorts(Second(codes, x), Ones));

    /// <summary>16 times the sum of the upper parts, and that of the lower ones.</summary>
    [MethodImpl(Inline)]
    public static V Of8Bits(in Codes<V> codes, in Codes<V> upper, ActivationBlock* x)
    {
        var sum = TLanes.MultiplyAddShorts(TLanes.AddShorts(First(upper, x), Second(upper, x)), TLanes.Spread(0x0010_0010u));
        return TLanes.Add(TLanes.Add(sum, Of4Bits(codes, x)), TLanes.Spread(&x->Minus128Sum));
    }

    [MethodImpl(Inline)]
    public static V Scaled2Bits(in Codes<V> codes, ActivationBlock* x, V first, V second) =>
        TLanes.Add(TLanes.MultiplyAddShorts(First(codes, x), first), TLanes.MultiplyAddShorts(Second(codes, x), second));

    /// <summary>
    /// Four pairs of 6-bit codes may leave 16 bits, but with -32 x activations added they are within 8 x 32 x 127 = 32512 of zero in the end,
    /// and what happens modulo 2^16 on the way does not matter.
    /// </summary>
    [MethodImpl(Inline)]
    public static V Scaled6Bits(in Codes<V> codes, ActivationBlock* x, V first, V second)
    {
        var sum0 = TLanes.AddShorts(First(codes, x), TLanes.Spread(x->Minus32Pairs));
        var sum1 = TLanes.AddShorts(Second(codes, x), TLanes.Spread(x->Minus32Pairs + 2));
        return TLanes.Add(TLanes.MultiplyAddShorts(sum0, first), TLanes.MultiplyAddShorts(sum1, second));
    }

    [MethodImpl(Inline)]
    public static void Halves5Bits(in Codes<V> codes, ActivationBlock* x, out V first, out V second) =>
        (first, second) = (TLanes.MultiplyAddShorts(First(codes, x), Ones), TLanes.MultiplyAddShorts(Second(codes, x), Ones));

    /// <summary>16 times the sum of the upper parts, that of the lower ones, and twice that of the offsets of -32.</summary>
    [MethodImpl(Inline)]
    public static V Scaled7Bits(in Codes<V> codes, in Codes<V> upper, ActivationBlock* x, V first, V second)
    {
        var offset = TLanes.Add(
            TLanes.MultiplyAddShorts(TLanes.Spread(x->Minus32Pairs), first), TLanes.MultiplyAddShorts(TLanes.Spread(x->Minus32Pairs + 2), second));
        var sum = TLanes.Add(TLanes.MultiplyAddShorts(First(upper, x), first), TLanes.MultiplyAddShorts(Second(upper, x), second));
        sum = TLanes.ShiftLeft(TLanes.Add(TLanes.ShiftLeft(sum, 3), offset), 1);
        return TLanes.Add(sum, TLanes.Add(TLanes.MultiplyAddShorts(First(codes, x), first), TLanes.MultiplyAddShorts(Second(codes, x), second)));
    }

    /// <summary>The scale as both 16-bit numbers of its lane.</summary>
    [MethodImpl(Inline)]
    public static V SubScale(V ints) => TLanes.Or(TLanes.And(ints, TLanes.Spread(0xffffu)), TLanes.ShiftLeft(ints, 16));

    /// <summary>16-bit sums of columns 0..15.</summary>
    [MethodImpl(Inline)]
    static V First(in Codes<V> codes, ActivationBlock* x) => TLanes.AddShorts(
        TLanes.AddShorts(Products(codes.C0, x, 0), Products(codes.C1, x, 1)),
        TLanes.AddShorts(Products(codes.C2, x, 2), Products(codes.C3, x, 3)));

    /// <summary>16-bit sums of columns 16..31.</summary>
    [MethodImpl(Inline)]
    static V Second(in Codes<V> codes, ActivationBlock* x) => TLanes.AddShorts(
        TLanes.AddShorts(Products(codes.C4, x, 4), Products(codes.C5, x, 5)),
        TLanes.AddShorts(Products(codes.C6, x, 6), Products(codes.C7, x, 7)));

    [MethodImpl(Inline)]
    static V Products(V codes, ActivationBlock* x, int fourColumns) => TLanes.MultiplyAddPairs(codes, TLanes.Spread(x->Values + 4 * fourColumns));
}

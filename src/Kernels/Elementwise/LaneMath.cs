using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Elementwise;

/// <summary>What is made of lane operations only, and is hence the same in every bit at every width.</summary>
static unsafe class LaneMath<TLanes>
    where TLanes : unmanaged, IFloatLanes<TLanes>
{
    public const int Count = 16;

    const float ExpLowest = -87.3f;   // e^-87.3 is the last one that is a normal number
    const float ExpHighest = 88.72f;  // e^88.72 is the last one below infinity
    const float Log2E = 1.44269504f;
    const float Ln2Upper = 0.693115234375f;   // few bits, so that its product with an exponent is exact ...
    const float Ln2Lower = 3.19461849e-5f;    // ... and the rest
    const float RoundToInteger = Rounding.ToInteger;

    /// <summary>Four times sixteen lanes, so many floats apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store4(float* destination, int apart, TLanes a, TLanes b, TLanes c, TLanes d)
    {
        TLanes.Store(a, destination);
        TLanes.Store(b, destination + apart);
        TLanes.Store(c, destination + (2 * apart));
        TLanes.Store(d, destination + (3 * apart));
    }

    /// <summary>
    /// e^x within 1.5 units in the last place: x = n ln 2 + r, e^x = 2^n e^r, and e^r by a polynomial of degree 6 (minimax on
    /// |r| &lt;= ln 2 / 2, relative error 1.0e-8). Below -87.3 it is 0, above 88.72 infinity; NaN stays NaN.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Exp(TLanes x) =>
        TLanes.WhereGreater(x, TLanes.Broadcast(ExpHighest), TLanes.Broadcast(float.PositiveInfinity), ExpTimes(x, Rounder(exponent: 0)));

    /// <summary>2^p <see cref="Exp"/>(x), of x for which both are finite, or NaN. The power costs nothing.</summary>
    /// <param name="rounder"><see cref="Rounder"/> of p.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes ExpTimes(TLanes x, TLanes rounder)
    {
        var shifted = TLanes.MultiplyAdd(x, TLanes.Broadcast(Log2E), rounder);
        var n = shifted - rounder;
        var r = TLanes.MultiplyAdd(n, TLanes.Broadcast(-Ln2Upper), x);
        r = TLanes.MultiplyAdd(n, TLanes.Broadcast(-Ln2Lower), r);

        var polynomial = TLanes.Broadcast(0.00139262504f);
        polynomial = TLanes.MultiplyAdd(polynomial, r, TLanes.Broadcast(0.00836323295f));
        polynomial = TLanes.MultiplyAdd(polynomial, r, TLanes.Broadcast(0.0416665524f));
        polynomial = TLanes.MultiplyAdd(polynomial, r, TLanes.Broadcast(0.166665763f));
        polynomial = TLanes.MultiplyAdd(polynomial, r, TLanes.Broadcast(0.5f));
        polynomial = TLanes.MultiplyAdd(polynomial, r * r, r) + TLanes.Broadcast(1);

        return TLanes.WhereGreater(TLanes.Broadcast(ExpLowest), x, TLanes.Broadcast(0), TLanes.AddToExponent(polynomial, shifted));
    }

    /// <summary>Added to a number, it rounds it to an integer, whose low bits are then those of n + <paramref name="exponent"/>.</summary>
    /// <param name="exponent">An even number, so that halves are rounded as without it; of at most seven bits.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TLanes Rounder(int exponent) => TLanes.Broadcast(RoundToInteger + exponent);

    /// <summary>The first <paramref name="count"/> lanes from memory, the others <paramref name="fill"/>.</summary>
    public static TLanes LoadFirst(float* source, int count, float fill = 0)
    {
        var lanes = stackalloc float[Count];
        for (var i = 0; i < Count; i++) lanes[i] = i < count ? source[i] : fill;
        return TLanes.Load(lanes);
    }

    public static void StoreFirst(TLanes value, float* destination, int count)
    {
        var lanes = stackalloc float[Count];
        TLanes.Store(value, lanes);
        for (var i = 0; i < count; i++) destination[i] = lanes[i];
    }
}

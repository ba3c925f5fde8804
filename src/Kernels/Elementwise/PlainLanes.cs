using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Sixteen plain floats: the truth that the vector widths are tested against, and what runs where there are no vectors.</summary>
[InlineArray(Count)]
unsafe struct PlainLanes : IFloatLanes<PlainLanes>
{
    const int Count = 16;

    float _first;

    public static int Registers => Count;

    public static PlainLanes Broadcast(float value)
    {
        PlainLanes result = default;
        for (var i = 0; i < Count; i++) result[i] = value;
        return result;
    }

    public static PlainLanes Load(float* source)
    {
        PlainLanes result = default;
        for (var i = 0; i < Count; i++) result[i] = source[i];
        return result;
    }

    public static PlainLanes LoadBFloat16(ushort* source)
    {
        PlainLanes result = default;
        for (var i = 0; i < Count; i++) result[i] = BitConverter.Int32BitsToSingle(source[i] << 16);
        return result;
    }

    public static void LoadHalfPairs(ushort* source, out PlainLanes first, out PlainLanes second)
    {
        (first, second) = (default, default);
        for (var i = 0; i < Count; i++)
        {
            first[i] = HalfBits.ToSmallSingle(source[2 * i]);
            second[i] = HalfBits.ToSmallSingle(source[(2 * i) + 1]);
        }
    }

    public static void Prefetch(void* source) { }

    public static void Store(PlainLanes value, float* destination)
    {
        for (var i = 0; i < Count; i++) destination[i] = value[i];
    }

    public static PlainLanes operator +(PlainLanes a, PlainLanes b)
    {
        for (var i = 0; i < Count; i++) a[i] += b[i];
        return a;
    }

    public static PlainLanes operator -(PlainLanes a, PlainLanes b)
    {
        for (var i = 0; i < Count; i++) a[i] -= b[i];
        return a;
    }

    public static PlainLanes operator *(PlainLanes a, PlainLanes b)
    {
        for (var i = 0; i < Count; i++) a[i] *= b[i];
        return a;
    }

    public static PlainLanes operator /(PlainLanes a, PlainLanes b)
    {
        for (var i = 0; i < Count; i++) a[i] /= b[i];
        return a;
    }

    public static PlainLanes MultiplyAdd(PlainLanes a, PlainLanes b, PlainLanes c)
    {
        for (var i = 0; i < Count; i++) c[i] = MathF.FusedMultiplyAdd(a[i], b[i], c[i]);
        return c;
    }

    public static PlainLanes Max(PlainLanes a, PlainLanes b) => WhereGreater(a, b, a, b);

    public static PlainLanes WhereGreater(PlainLanes a, PlainLanes b, PlainLanes yes, PlainLanes no)
    {
        for (var i = 0; i < Count; i++) no[i] = a[i] > b[i] ? yes[i] : no[i];
        return no;
    }

    public static PlainLanes Abs(PlainLanes value)
    {
        for (var i = 0; i < Count; i++) value[i] = MathF.Abs(value[i]);
        return value;
    }

    public static PlainLanes AddToExponent(PlainLanes value, PlainLanes exponent)
    {
        for (var i = 0; i < Count; i++)
            value[i] = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(value[i]) + (BitConverter.SingleToInt32Bits(exponent[i]) << 23));
        return value;
    }

    public static PlainLanes SwapPairs(PlainLanes value) => Swap(value, 1);

    public static PlainLanes SwapTwos(PlainLanes value) => Swap(value, 2);

    public static PlainLanes SwapFours(PlainLanes value) => Swap(value, 4);

    public static PlainLanes SwapEights(PlainLanes value) => Swap(value, 8);

    public static float Sum(PlainLanes value)
    {
        for (var half = Count / 2; half > 0; half /= 2)
            for (var i = 0; i < half; i++) value[i] += value[i + half];
        return value[0];
    }

    public static float Max(PlainLanes value)
    {
        var max = value[0];
        for (var i = 1; i < Count; i++) max = value[i] > max ? value[i] : max;
        return max;
    }

    /// <summary>Lane i and lane i + distance change places, for each i whose bit of that weight is 0.</summary>
    static PlainLanes Swap(PlainLanes value, int distance)
    {
        var swapped = value;
        for (var i = 0; i < Count; i++) swapped[i] = value[i ^ distance];
        return swapped;
    }
}

using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Sixteen plain integers: the truth that the vector widths are tested against, and what runs where there are no vectors.</summary>
[InlineArray(Count)]
unsafe struct PlainIntegers : IIntegerLanes<PlainIntegers, PlainLanes>
{
    const int Count = 16;

    int _first;

    public static PlainIntegers Zero => default;

    public static PlainIntegers LoadBytes(sbyte* source)
    {
        PlainIntegers result = default;
        for (var i = 0; i < Count; i++) result[i] = Pair(source[2 * i], source[(2 * i) + 1]);
        return result;
    }

    public static void LoadHalfBytes(sbyte* source, out PlainIntegers lower, out PlainIntegers upper)
    {
        (lower, upper) = (default, default);
        for (var i = 0; i < Count; i++)
        {
            lower[i] = Pair(source[2 * i] << 28 >> 28, source[(2 * i) + 1] << 28 >> 28);
            upper[i] = Pair(source[2 * i] >> 4, source[(2 * i) + 1] >> 4);
        }
    }

    public static PlainIntegers SpreadPair(short* pair)
    {
        PlainIntegers result = default;
        for (var i = 0; i < Count; i++) result[i] = Pair(pair[0], pair[1]);
        return result;
    }

    public static PlainIntegers MultiplyAddPairs(PlainIntegers a, PlainIntegers b, PlainIntegers sum)
    {
        for (var i = 0; i < Count; i++) sum[i] += ((short)a[i] * (short)b[i]) + ((a[i] >> 16) * (b[i] >> 16));
        return sum;
    }

    public static PlainLanes ToSingle(PlainIntegers integers)
    {
        PlainLanes result = default;
        for (var i = 0; i < Count; i++) result[i] = integers[i];
        return result;
    }

    public static void StoreRounded(PlainLanes value, short* destination)
    {
        for (var i = 0; i < Count; i++) destination[i] = (short)BitConverter.SingleToInt32Bits(value[i] + Rounding.ToInteger);
    }

    static int Pair(int first, int second) => (first & 0xFFFF) | (second << 16);
}

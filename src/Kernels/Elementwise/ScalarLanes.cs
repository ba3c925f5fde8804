using System.Runtime.CompilerServices;

namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Sixteen plain floats: the truth that the vector widths are tested against, and what runs where there are no vectors.</summary>
[InlineArray(Count)]
unsafe struct ScalarLanes : IFloatLanes<ScalarLanes>
{
    const int Count = 16;

    float _first;

    public static ScalarLanes Broadcast(float value)
    {
        ScalarLanes result = default;
        for (var i = 0; i < Count; i++) result[i] = value;
        return result;
    }

    public static ScalarLanes Load(float* source)
    {
        ScalarLanes result = default;
        for (var i = 0; i < Count; i++) result[i] = source[i];
        return result;
    }

    public static ScalarLanes LoadBFloat16(ushort* source)
    {
        ScalarLanes result = default;
        for (var i = 0; i < Count; i++) result[i] = BitConverter.Int32BitsToSingle(source[i] << 16);
        return result;
    }

    public static ScalarLanes LoadNormalHalf(ushort* source)
    {
        ScalarLanes result = default;
        for (var i = 0; i < Count; i++) result[i] = HalfBits.ToSingle(source[i]);
        return result;
    }

    public static ScalarLanes LoadSByte(sbyte* source)
    {
        ScalarLanes result = default;
        for (var i = 0; i < Count; i++) result[i] = source[i];
        return result;
    }

    public static void Store(ScalarLanes value, float* destination)
    {
        for (var i = 0; i < Count; i++) destination[i] = value[i];
    }

    public static ScalarLanes operator +(ScalarLanes a, ScalarLanes b)
    {
        for (var i = 0; i < Count; i++) a[i] += b[i];
        return a;
    }

    public static ScalarLanes operator -(ScalarLanes a, ScalarLanes b)
    {
        for (var i = 0; i < Count; i++) a[i] -= b[i];
        return a;
    }

    public static ScalarLanes operator *(ScalarLanes a, ScalarLanes b)
    {
        for (var i = 0; i < Count; i++) a[i] *= b[i];
        return a;
    }

    public static ScalarLanes operator /(ScalarLanes a, ScalarLanes b)
    {
        for (var i = 0; i < Count; i++) a[i] /= b[i];
        return a;
    }

    public static ScalarLanes MultiplyAdd(ScalarLanes a, ScalarLanes b, ScalarLanes c)
    {
        for (var i = 0; i < Count; i++) c[i] = MathF.FusedMultiplyAdd(a[i], b[i], c[i]);
        return c;
    }

    public static ScalarLanes Max(ScalarLanes a, ScalarLanes b) => WhereGreater(a, b, a, b);

    public static ScalarLanes WhereGreater(ScalarLanes a, ScalarLanes b, ScalarLanes yes, ScalarLanes no)
    {
        for (var i = 0; i < Count; i++) no[i] = a[i] > b[i] ? yes[i] : no[i];
        return no;
    }

    public static ScalarLanes Abs(ScalarLanes value)
    {
        for (var i = 0; i < Count; i++) value[i] = MathF.Abs(value[i]);
        return value;
    }

    public static ScalarLanes AddToExponent(ScalarLanes value, ScalarLanes exponent)
    {
        for (var i = 0; i < Count; i++)
            value[i] = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(value[i]) + (BitConverter.SingleToInt32Bits(exponent[i]) << 23));
        return value;
    }

    public static ScalarLanes SwapPairs(ScalarLanes value)
    {
        for (var i = 0; i < Count; i += 2) (value[i], value[i + 1]) = (value[i + 1], value[i]);
        return value;
    }

    public static float Sum(ScalarLanes value)
    {
        for (var half = Count / 2; half > 0; half /= 2)
            for (var i = 0; i < half; i++) value[i] += value[i + half];
        return value[0];
    }

    public static float Max(ScalarLanes value)
    {
        var max = value[0];
        for (var i = 1; i < Count; i++) max = value[i] > max ? value[i] : max;
        return max;
    }
}

using System.Numerics;
using System.Runtime.InteropServices;
using LlamaCluster.Protos;

namespace LlamaCluster.Cluster.Activations;

/// <summary>
/// Activation rows as bytes between stages, little-endian, row after row. f32 is exact. bf16 halves the bytes (rounded to nearest even). q8
/// takes about 1.1 bytes a value: blocks of 32 values share one f32 scale and are rounded to int8. The last block of a row may be shorter, so
/// that a row's bytes never depend on the rows beside it. Nothing is allocated. Like the kernels, the codec runs on little-endian machines only.
/// </summary>
public static class ActivationCodec
{
    /// <summary>Bytes that a row of <paramref name="hiddenSize"/> values takes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not one of the known types.</exception>
    public static int RowBytes(ActivationType type, int hiddenSize) => type switch
    {
        ActivationType.F32 => checked(hiddenSize * sizeof(float)),
        ActivationType.Bf16 => checked(hiddenSize * sizeof(ushort)),
        ActivationType.Q8 => Q8Rows.RowBytes(hiddenSize),
        _ => throw Unknown(type),
    };

    /// <param name="rows">[B, D] values.</param>
    /// <param name="payload">B times <see cref="RowBytes"/>.</param>
    public static void Encode(ActivationType type, ReadOnlySpan<float> rows, int hiddenSize, Span<byte> payload)
    {
        CheckLengths(type, rows.Length, hiddenSize, payload.Length);
        switch (type)
        {
            case ActivationType.F32: MemoryMarshal.AsBytes(rows).CopyTo(payload); break;
            case ActivationType.Bf16: Bf16Rows.Encode(rows, MemoryMarshal.Cast<byte, ushort>(payload)); break;
            case ActivationType.Q8: Q8Rows.Encode(rows, hiddenSize, payload); break;
            default: throw Unknown(type);
        }
    }

    /// <param name="payload">B times <see cref="RowBytes"/>.</param>
    /// <param name="rows">[B, D] values.</param>
    public static void Decode(ActivationType type, ReadOnlySpan<byte> payload, int hiddenSize, Span<float> rows)
    {
        CheckLengths(type, rows.Length, hiddenSize, payload.Length);
        switch (type)
        {
            case ActivationType.F32: payload.CopyTo(MemoryMarshal.AsBytes(rows)); break;
            case ActivationType.Bf16: Bf16Rows.Decode(MemoryMarshal.Cast<byte, ushort>(payload), rows); break;
            case ActivationType.Q8: Q8Rows.Decode(payload, hiddenSize, rows); break;
            default: throw Unknown(type);
        }
    }

    static void CheckLengths(ActivationType type, int values, int hiddenSize, int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(hiddenSize, 1);
        var (rows, rest) = Math.DivRem(values, hiddenSize);
        if (rest != 0 || (long)rows * RowBytes(type, hiddenSize) != bytes)
            throw new ArgumentException($"{bytes} bytes do not hold {values} values of type {type} in rows of {hiddenSize}");
    }

    static ArgumentOutOfRangeException Unknown(ActivationType type) => new(nameof(type), type, "not an activation type");
}

/// <summary>bfloat16: the upper half of an f32, rounded to nearest even; infinities stay, a NaN stays a (quiet) NaN.</summary>
static class Bf16Rows
{
    const uint HalfUnit = 0x7FFF;
    const uint Magnitude = 0x7FFF_FFFF;
    const uint Infinity = 0x7F80_0000;
    const uint QuietBit = 0x40;

    public static void Encode(ReadOnlySpan<float> values, Span<ushort> encoded)
    {
        var bits = MemoryMarshal.Cast<float, uint>(values);
        var i = 0;
        for (; i + Vector<ushort>.Count <= bits.Length; i += Vector<ushort>.Count)
        {
            var low = Round(new Vector<uint>(bits[i..]));
            var high = Round(new Vector<uint>(bits[(i + Vector<uint>.Count)..]));
            Vector.Narrow(low, high).CopyTo(encoded[i..]);
        }
        for (; i < bits.Length; i++)
            encoded[i] = Round(bits[i]);
    }

    public static void Decode(ReadOnlySpan<ushort> encoded, Span<float> values)
    {
        var bits = MemoryMarshal.Cast<float, uint>(values);
        var i = 0;
        for (; i + Vector<ushort>.Count <= bits.Length; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(encoded[i..]), out var low, out var high);
            (low << 16).CopyTo(bits[i..]);
            (high << 16).CopyTo(bits[(i + Vector<uint>.Count)..]);
        }
        for (; i < bits.Length; i++)
            bits[i] = (uint)encoded[i] << 16;
    }

    static Vector<uint> Round(Vector<uint> bits)
    {
        var upper = bits >> 16;
        var rounded = (bits + new Vector<uint>(HalfUnit) + (upper & Vector<uint>.One)) >> 16;
        var isNaN = Vector.GreaterThan(bits & new Vector<uint>(Magnitude), new Vector<uint>(Infinity));
        return Vector.ConditionalSelect(isNaN, upper | new Vector<uint>(QuietBit), rounded);
    }

    static ushort Round(uint bits)
    {
        var upper = bits >> 16;
        return (ushort)((bits & Magnitude) > Infinity ? upper | QuietBit : (bits + HalfUnit + (upper & 1)) >> 16);
    }
}

using System.Runtime.InteropServices;
using LlamaCluster.Protos;

namespace LlamaCluster.Cluster.Activations;

/// <summary>
/// Activation rows as bytes between stages, little-endian, row after row. f32 is exact; bf16 halves the bytes (rounded to nearest
/// even); q8 takes about 1.1 bytes a value: 32 values at a time share one f32 scale and are rounded to int8, the last block of a
/// row may be shorter, so that a row's bytes never depend on the rows beside it. Nothing is allocated. Like the kernels, the codec
/// runs on little-endian machines only.
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

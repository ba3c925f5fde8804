using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using LlamaCluster.Kernels;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>
/// Stores rows of floats in a tensor type. The same on every machine; Q8_0 and Q4_0 are bit for bit what llama.cpp's
/// <c>llama-quantize</c> stores, the K types have the least squared error that a search of scales finds.
/// </summary>
public static class RowEncoder
{
    /// <summary>Whether this type can be written; the others are only read.</summary>
    public static bool CanEncode(TensorType type) =>
        type is TensorType.F32 or TensorType.F16 or TensorType.BF16 or TensorType.Q8_0 or TensorType.Q4_0 or TensorType.Q4_K or TensorType.Q6_K;

    /// <param name="values">Finite numbers; whole blocks of the type.</param>
    /// <param name="stored">As many bytes as <see cref="TensorTypes.RowBytes"/> says.</param>
    public static void Encode(TensorType type, ReadOnlySpan<float> values, Span<byte> stored)
    {
        if (stored.Length != type.RowBytes(values.Length))
            throw new ArgumentException($"{values.Length} values take {type.RowBytes(values.Length)} bytes as {type}, not {stored.Length}", nameof(stored));
        switch (type)
        {
            case TensorType.F32:
                MemoryMarshal.AsBytes(values).CopyTo(stored);
                break;
            case TensorType.F16:
                TensorPrimitives.ConvertToHalf(values, MemoryMarshal.Cast<byte, Half>(stored));
                break;
            case TensorType.BF16:
                EncodeBF16(values, stored);
                break;
            case TensorType.Q8_0:
                EncodeBlocks<Q8_0Block>(type, values, stored);
                break;
            case TensorType.Q4_0:
                EncodeBlocks<Q4_0Block>(type, values, stored);
                break;
            case TensorType.Q4_K:
                EncodeBlocks<Q4_KBlock>(type, values, stored);
                break;
            case TensorType.Q6_K:
                EncodeBlocks<Q6_KBlock>(type, values, stored);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "this type can only be read");
        }
    }

    static void EncodeBlocks<TBlock>(TensorType type, ReadOnlySpan<float> values, Span<byte> stored) where TBlock : IBlockEncoder
    {
        var (size, bytes) = (type.BlockSize(), type.BlockBytes());
        for (; !values.IsEmpty; values = values[size..], stored = stored[bytes..])
            TBlock.Encode(values[..size], stored[..bytes]);
    }

    // Rounds to nearest, ties to even.
    static void EncodeBF16(ReadOnlySpan<float> values, Span<byte> stored)
    {
        for (var i = 0; i < values.Length; i++)
        {
            var bits = BitConverter.SingleToUInt32Bits(values[i]);
            var rounded = bits + 0x7fff + ((bits >> 16) & 1);
            BinaryPrimitives.WriteUInt16LittleEndian(stored[(2 * i)..], (ushort)(rounded >> 16));
        }
    }
}

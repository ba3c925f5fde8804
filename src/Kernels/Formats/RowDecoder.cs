using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Formats;

/// <summary>
/// Stored tensor data to floats, exactly as the format page says (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and the block
/// structures it refers to): plain loops, but for types of floats, the truth that every fast kernel and every packed layout is tested against.
/// </summary>
public static class RowDecoder
{
    /// <summary>Decodes whole blocks: <paramref name="stored"/> holds exactly the bytes of <paramref name="destination"/>'s elements.</summary>
    /// <exception cref="ArgumentException">The lengths do not belong together, or the elements are not whole blocks.</exception>
    public static void Decode(TensorType type, ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var needed = type.RowBytes(destination.Length);
        if (needed != stored.Length)
            throw new ArgumentException($"{destination.Length} {type} elements are stored in {needed} bytes, not {stored.Length}", nameof(stored));

        switch (type)
        {
            case TensorType.F32: FloatBlocks.DecodeF32(stored, destination); return;
            case TensorType.F16: FloatBlocks.DecodeF16(stored, destination); return;
            case TensorType.BF16: FloatBlocks.DecodeBF16(stored, destination); return;
        }
        BlockDecoder decode = type switch
        {
            TensorType.Q4_0 => Blocks32.DecodeQ4_0,
            TensorType.Q4_1 => Blocks32.DecodeQ4_1,
            TensorType.Q5_0 => Blocks32.DecodeQ5_0,
            TensorType.Q5_1 => Blocks32.DecodeQ5_1,
            TensorType.Q8_0 => Blocks32.DecodeQ8_0,
            TensorType.Q2_K => Blocks256.DecodeQ2_K,
            TensorType.Q3_K => Blocks256.DecodeQ3_K,
            TensorType.Q4_K => Blocks256.DecodeQ4_K,
            TensorType.Q5_K => Blocks256.DecodeQ5_K,
            TensorType.Q6_K => Blocks256.DecodeQ6_K,
            TensorType.IQ4_NL => BlocksOfTables.DecodeIQ4_NL,
            TensorType.IQ4_XS => BlocksOfTables.DecodeIQ4_XS,
            TensorType.IQ3_S => BlocksGrid.DecodeIQ3_S,
            TensorType.IQ3_XXS => BlocksGrid.DecodeIQ3_XXS,
            TensorType.IQ2_S => BlocksGrid.DecodeIQ2_S,
            TensorType.IQ2_XS => BlocksGrid.DecodeIQ2_XS,
            TensorType.IQ2_XXS => BlocksGrid.DecodeIQ2_XXS,
            TensorType.IQ1_S => BlocksGrid.DecodeIQ1_S,
            TensorType.IQ1_M => BlocksGrid.DecodeIQ1_M,
            TensorType.TQ1_0 => BlocksOfTables.DecodeTQ1_0,
            TensorType.TQ2_0 => BlocksOfTables.DecodeTQ2_0,
            TensorType.MXFP4 => BlocksOfTables.DecodeMXFP4,
            TensorType.NVFP4 => BlocksOfTables.DecodeNVFP4,
            TensorType.Q1_0 => BlocksOfTables.DecodeQ1_0,
            TensorType.Q2_0 => BlocksOfTables.DecodeQ2_0,
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not a tensor type"),
        };
        var elements = type.BlockSize();
        var bytes = type.BlockBytes();
        for (var block = 0; block < destination.Length / elements; block++)
            decode(stored.Slice(block * bytes, bytes), destination.Slice(block * elements, elements));
    }
}

/// <summary>One stored block to its elements.</summary>
delegate void BlockDecoder(ReadOnlySpan<byte> stored, Span<float> destination);

/// <summary>The float types, one element a block, little-endian; whole rows, vector by vector.</summary>
static class FloatBlocks
{
    public static void DecodeF32(ReadOnlySpan<byte> stored, Span<float> destination) => MemoryMarshal.Cast<byte, float>(stored).CopyTo(destination);

    public static void DecodeF16(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        var halves = MemoryMarshal.Cast<byte, ushort>(stored);
        var i = 0;
        for (; i + Vector<ushort>.Count <= halves.Length; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(halves[i..]), out var lower, out var upper);
            Half(lower).CopyTo(destination[i..]);
            Half(upper).CopyTo(destination[(i + Vector<float>.Count)..]);
        }
        for (; i < halves.Length; i++) destination[i] = Half(stored, sizeof(ushort) * i);
    }

    /// <summary>bfloat16 is the upper half of an f32.</summary>
    public static void DecodeBF16(ReadOnlySpan<byte> stored, Span<float> destination)
    {
        const int upperHalf = 16;
        var bits = MemoryMarshal.Cast<byte, ushort>(stored);
        var result = MemoryMarshal.Cast<float, uint>(destination);
        var i = 0;
        for (; i + Vector<ushort>.Count <= bits.Length; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(bits[i..]), out var lower, out var upper);
            (lower << upperHalf).CopyTo(result[i..]);
            (upper << upperHalf).CopyTo(result[(i + Vector<uint>.Count)..]);
        }
        for (; i < bits.Length; i++) result[i] = (uint)bits[i] << upperHalf;
    }

    /// <summary>The IEEE half that stands at <paramref name="offset"/>.</summary>
    public static float Half(ReadOnlySpan<byte> stored, int offset) => (float)BinaryPrimitives.ReadHalfLittleEndian(stored[offset..]);

    /// <summary>
    /// IEEE halves. Exponent and mantissa in the places of an f32 are the number times 2^-112, subnormal or not. Where all bits of the exponent are set, so
    /// are an f32's.
    /// </summary>
    static Vector<float> Half(Vector<uint> bits)
    {
        const float scale = 5.192296858534828e33f;   // 2^112
        var magnitude = bits & new Vector<uint>(0x7fff);
        var number = Vector.AsVectorUInt32(Vector.AsVectorSingle(magnitude << 13) * scale);
        var endless = Vector.GreaterThanOrEqual(magnitude, new Vector<uint>(0x7c00)) & new Vector<uint>(0x7f80_0000);
        return Vector.AsVectorSingle(number | endless | ((bits & new Vector<uint>(0x8000)) << 16));
    }
}

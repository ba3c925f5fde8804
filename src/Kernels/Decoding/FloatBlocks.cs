using System.Buffers.Binary;

namespace LlamaCluster.Kernels.Decoding;

/// <summary>The float types, one element a block, little-endian.</summary>
static class FloatBlocks
{
    public static void DecodeF32(ReadOnlySpan<byte> stored, Span<float> destination) =>
        destination[0] = BinaryPrimitives.ReadSingleLittleEndian(stored);

    public static void DecodeF16(ReadOnlySpan<byte> stored, Span<float> destination) => destination[0] = Half(stored, 0);

    /// <summary>bfloat16 is the upper half of an f32.</summary>
    public static void DecodeBF16(ReadOnlySpan<byte> stored, Span<float> destination) =>
        destination[0] = BitConverter.UInt32BitsToSingle((uint)BinaryPrimitives.ReadUInt16LittleEndian(stored) << 16);

    /// <summary>The IEEE half that stands at <paramref name="offset"/>.</summary>
    public static float Half(ReadOnlySpan<byte> stored, int offset) => (float)BinaryPrimitives.ReadHalfLittleEndian(stored[offset..]);
}

using System.Buffers.Binary;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>
/// 32 values: a scale d (f16), then 16 bytes; byte i has q of value i in its low and of value i + 16 in its high nibble;
/// value = d (q - 8). The scale makes the value of largest magnitude q = 0, the end of the range that reaches farther.
/// </summary>
readonly struct Q4_0Block : IBlockEncoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> stored)
    {
        var scale = BlockScale.FirstOfLargestMagnitude(values) / -8;
        var inverse = BlockScale.Inverse(scale);
        BinaryPrimitives.WriteHalfLittleEndian(stored, (Half)scale);
        for (var i = 0; i < 16; i++)
            stored[2 + i] = (byte)(Quantize(values[i] * inverse) | Quantize(values[i + 16] * inverse) << 4);
    }

    static int Quantize(float scaled) => Math.Min(15, (int)(scaled + 8.5f));
}

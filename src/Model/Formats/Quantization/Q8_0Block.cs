using System.Buffers.Binary;
using System.Numerics.Tensors;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>32 values: a scale d (f16), then 32 signed bytes q; value = d q. The scale is the largest magnitude / 127.</summary>
readonly struct Q8_0Block : IBlockEncoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> stored)
    {
        var scale = Math.Abs(TensorPrimitives.MaxMagnitude(values)) / 127;
        var inverse = BlockScale.Inverse(scale);
        BinaryPrimitives.WriteHalfLittleEndian(stored, (Half)scale);
        for (var i = 0; i < values.Length; i++)
            stored[2 + i] = (byte)(sbyte)MathF.Round(values[i] * inverse, MidpointRounding.AwayFromZero);
    }
}

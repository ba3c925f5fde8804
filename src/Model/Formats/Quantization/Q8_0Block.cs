using System.Buffers.Binary;
using System.Runtime.Intrinsics;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>32 values: a scale d (f16), then 32 signed bytes q; value = d q. The scale is the largest magnitude / 127.</summary>
readonly struct Q8_0Block : IBlockEncoder
{
    public static void Encode(ReadOnlySpan<float> values, Span<byte> stored)
    {
        var scale = Math.Abs(BlockScale.FirstOfLargestMagnitude(values)) / 127;
        var inverse = BlockScale.Inverse(scale);
        BinaryPrimitives.WriteHalfLittleEndian(stored, (Half)scale);
        for (var i = 0; i < values.Length; i += 2 * Vector256<float>.Count)
        {
            var low = RoundAwayFromZero(Vector256.Create(values[i..]) * inverse);
            var high = RoundAwayFromZero(Vector256.Create(values[(i + Vector256<float>.Count)..]) * inverse);
            var narrow = Vector256.Narrow(low, high);
            Vector128.Narrow(narrow.GetLower(), narrow.GetUpper()).AsByte().CopyTo(stored[(2 + i)..]);
        }
    }

    // As C's roundf; adding a half and truncating would round 0.49999997 up.
    static Vector256<int> RoundAwayFromZero(Vector256<float> values)
    {
        var whole = Vector256.Truncate(values);
        var up = Vector256.GreaterThanOrEqual(Vector256.Abs(values - whole), Vector256.Create(0.5f));
        return Vector256.ConvertToInt32(whole + (Vector256.CopySign(Vector256<float>.One, values) & up));
    }
}

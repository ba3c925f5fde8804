using System.Buffers.Binary;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>
/// 256 values in 16 groups of 16: the low 4 bits of q (128 bytes), the high 2 bits (64 bytes), a signed byte s per group,
/// a scale d (f16); value = d s (q - 32). Each half of 128 values has its own 64 and 32 bytes, in which byte i holds
/// values i, i + 32, i + 64 and i + 96 of the half.
/// </summary>
readonly struct Q6_KBlock : IBlockEncoder
{
    const int Groups = 16;
    const int GroupSize = 16;
    const int Levels = 32;
    const int HighBitsAt = 128;
    const int ScalesAt = 192;
    const int ScaleAt = 208;

    public static void Encode(ReadOnlySpan<float> values, Span<byte> stored)
    {
        Span<float> scales = stackalloc float[Groups];
        for (var group = 0; group < Groups; group++)
            scales[group] = LeastSquares.FitScale(values.Slice(group * GroupSize, GroupSize), Levels);
        var scale = BlockScale.RoundedAwayFromZero(BlockScale.FirstOfLargestMagnitude(scales) / -128);
        BinaryPrimitives.WriteHalfLittleEndian(stored[ScaleAt..], scale);

        Span<byte> q = stackalloc byte[Groups * GroupSize];
        var inverse = BlockScale.Inverse((float)scale);
        for (var group = 0; group < Groups; group++)
        {
            var groupScale = (sbyte)Math.Clamp(MathF.Round(scales[group] * inverse), -128, 127);
            stored[ScalesAt + group] = (byte)groupScale;
            var groupInverse = BlockScale.Inverse((float)scale * groupScale);
            for (var i = group * GroupSize; i < (group + 1) * GroupSize; i++)
                q[i] = (byte)(Levels + Math.Clamp(MathF.Round(values[i] * groupInverse), -Levels, Levels - 1));
        }
        PackHalf(q[..128], stored, stored[HighBitsAt..]);
        PackHalf(q[128..], stored[64..], stored[(HighBitsAt + 32)..]);
    }

    static void PackHalf(ReadOnlySpan<byte> q, Span<byte> low, Span<byte> high)
    {
        for (var i = 0; i < 32; i++)
        {
            low[i] = (byte)(q[i] & 15 | q[i + 64] << 4);
            low[i + 32] = (byte)(q[i + 32] & 15 | q[i + 96] << 4);
            high[i] = (byte)(q[i] >> 4 | q[i + 32] >> 4 << 2 | q[i + 64] >> 4 << 4 | q[i + 96] >> 4 << 6);
        }
    }
}

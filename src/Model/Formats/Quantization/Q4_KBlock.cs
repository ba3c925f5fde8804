using System.Buffers.Binary;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>
/// 256 values in 8 groups of 32: a scale d and a scale of offsets e (f16 each), 12 bytes with a 6-bit scale s and a 6-bit offset m
/// per group, 128 bytes with a nibble q per value; value = d s q - e m. Groups 2j and 2j + 1 share 32 bytes, the former the low
/// nibbles. Bytes 0-3 and 4-7 of the 12 have s and m of groups 0-3, and in their top bits the top 2 bits of s and m of
/// groups 4-7, whose low 4 bits share bytes 8-11.
/// </summary>
readonly struct Q4_KBlock : IBlockEncoder
{
    const int Groups = 8;
    const int GroupSize = 32;
    const int Levels = 15;
    const int MaxGroupScale = 63;
    const int GroupScalesAt = 4;
    const int NibblesAt = 16;

    public static void Encode(ReadOnlySpan<float> values, Span<byte> stored)
    {
        Span<float> scales = stackalloc float[Groups];
        Span<float> offsets = stackalloc float[Groups];
        for (var group = 0; group < Groups; group++)
            (scales[group], offsets[group]) = LeastSquares.FitScaleAndOffset(values.Slice(group * GroupSize, GroupSize), Levels);
        var scale = QuantizeScales(scales, stored);
        var offsetScale = QuantizeScales(offsets, stored[2..]);
        PackGroupScales(scales, offsets, stored[GroupScalesAt..]);
        for (var group = 0; group < Groups; group += 2)
        {
            var nibbles = stored.Slice(NibblesAt + group * GroupSize / 2, GroupSize);
            nibbles.Clear();
            for (var half = 0; half < 2; half++)
            {
                var at = group + half;
                AddNibbles(values.Slice(at * GroupSize, GroupSize), scale * scales[at], offsetScale * offsets[at], nibbles, 4 * half);
            }
        }
    }

    /// <summary>Stores the common scale and puts whole numbers from 0 to 63 in place of the groups' scales.</summary>
    static float QuantizeScales(Span<float> scales, Span<byte> stored)
    {
        var scale = BlockScale.RoundedAwayFromZero(BlockScale.FirstOfLargestMagnitude(scales) / MaxGroupScale);
        BinaryPrimitives.WriteHalfLittleEndian(stored, scale);
        var inverse = BlockScale.Inverse((float)scale);
        foreach (ref var groupScale in scales) groupScale = Math.Clamp(MathF.Round(groupScale * inverse), 0, MaxGroupScale);
        return (float)scale;
    }

    static void PackGroupScales(ReadOnlySpan<float> scales, ReadOnlySpan<float> offsets, Span<byte> packed)
    {
        for (var i = 0; i < 4; i++)
        {
            var (s, m, laterS, laterM) = ((int)scales[i], (int)offsets[i], (int)scales[i + 4], (int)offsets[i + 4]);
            packed[i] = (byte)(s | laterS >> 4 << 6);
            packed[i + 4] = (byte)(m | laterM >> 4 << 6);
            packed[i + 8] = (byte)(laterS & 15 | laterM << 4);
        }
    }

    static void AddNibbles(ReadOnlySpan<float> values, float scale, float offset, Span<byte> nibbles, int shift)
    {
        var inverse = BlockScale.Inverse(scale);
        for (var i = 0; i < values.Length; i++)
            nibbles[i] |= (byte)((int)Math.Clamp(MathF.Round((values[i] + offset) * inverse), 0, Levels) << shift);
    }
}

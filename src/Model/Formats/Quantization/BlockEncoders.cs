using System.Buffers.Binary;
using System.Runtime.Intrinsics;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>Stores one block of a quantised type.</summary>
interface IBlockEncoder
{
    /// <param name="values">As many as the type's block has.</param>
    /// <param name="stored">The block's bytes, all of which are written.</param>
    static abstract void Encode(ReadOnlySpan<float> values, Span<byte> stored);
}

/// <summary>The arithmetic of scales that block types share.</summary>
static class BlockScale
{
    /// <summary>1 / scale, or 0 where the scale is so small that there is none: all of the block's values are then stored as 0.</summary>
    public static float Inverse(float scale) => scale != 0 && 1 / scale is var inverse && float.IsFinite(inverse) ? inverse : 0;

    /// <summary>
    /// The nearest F16 that is not nearer to 0, so that numbers divided by it stay within their range. It matters for scales of
    /// scales, which may be so small that F16 has few digits left for them.
    /// </summary>
    public static Half RoundedAwayFromZero(float scale)
    {
        var nearest = (Half)scale;
        if (Math.Abs((float)nearest) >= Math.Abs(scale)) return nearest;
        return scale > 0 ? Half.BitIncrement(nearest) : Half.BitDecrement(nearest);
    }

    /// <summary>The first of the values that are farthest from 0.</summary>
    public static float FirstOfLargestMagnitude(ReadOnlySpan<float> values)
    {
        var largest = values[0];
        foreach (var value in values)
            if (Math.Abs(value) > Math.Abs(largest)) largest = value;
        return largest;
    }
}

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

namespace LlamaCluster.Model.Formats.Quantization;

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

using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>The indices start, start + step, ... of which there are <see cref="Count"/>.</summary>
readonly record struct SliceRange(int Start, int Step, int Count)
{
    /// <summary>Python's rule for <c>[start:stop:step]</c> over <paramref name="length"/> elements.</summary>
    public static SliceRange Of(long? start, long? stop, long? step, int length)
    {
        var stride = step ?? 1;
        if (stride == 0) throw new TemplateFault("slice step cannot be zero");
        long lowest = stride > 0 ? 0 : -1, highest = stride > 0 ? length : length - 1;
        var first = Clamp(start, stride > 0 ? lowest : highest);
        var end = Clamp(stop, stride > 0 ? highest : lowest);
        var span = stride > 0 ? end - first : first - end;
        var count = span <= 0 ? 0 : (span - 1) / (stride > 0 ? stride : stride == long.MinValue ? long.MaxValue : -stride) + 1;
        return count == 0 ? new SliceRange(0, 1, 0) : new SliceRange((int)first, count == 1 ? 1 : (int)stride, (int)count);

        long Clamp(long? bound, long missing) => bound switch
        {
            null => missing,
            < 0 => Math.Max(bound.Value < -length ? lowest : bound.Value + length, lowest),
            _ => Math.Min(bound.Value, highest),
        };
    }

    public int this[int position] => Start + position * Step;
}

using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>The integers from <paramref name="start"/> to before <paramref name="stop"/>.</summary>
sealed class RangeValue(long start, long stop, long step, int count) : Value
{
    public override string TypeName => "range";

    public override bool IsTrue => count > 0;

    public override int? Count => count;

    public override IEnumerable<Value> Iterate()
    {
        for (var i = 0; i < count; i++) yield return At(i);
    }

    public override Value? GetItem(Value key)
    {
        if (!key.TryGetInteger(out var index)) return null;
        if (index < 0) index += count;
        return index >= 0 && index < count ? At((int)index) : null;
    }

    public override Value Pick(Func<int, SliceRange> rangeOf, RenderContext context)
    {
        var range = rangeOf(count);
        var first = start + range.Start * step;
        return new RangeValue(first, first + range.Count * range.Step * step, range.Step * step, range.Count);
    }

    public override void WriteRepr(BoundedText output) => output.Append(step == 1 ? $"range({start}, {stop})" : $"range({start}, {stop}, {step})");

    IntegerValue At(int index) => new(start + index * step);
}

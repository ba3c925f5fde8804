using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>Bounds the nesting of containers, so that walking a value never exhausts the stack.</summary>
static class Nesting
{
    /// <summary>The depth of a container that holds these values.</summary>
    public static int Around(IEnumerable<Value> values)
    {
        var deepest = 0;
        foreach (var value in values) deepest = Math.Max(deepest, value.Depth);
        return deepest < TemplateLimits.ValueDepth ? deepest + 1
            : throw new TemplateFault($"a value holds values in more than {TemplateLimits.ValueDepth} levels");
    }
}

/// <summary>A list or a tuple.</summary>
abstract class SequenceValue : Value
{
    protected SequenceValue(Value[] items)
    {
        Items = items;
        Depth = Nesting.Around(items);
    }

    public Value[] Items { get; }

    public override int Depth { get; }

    public override bool IsTrue => Items.Length > 0;

    public override int? Count => Items.Length;

    public override IEnumerable<Value> Iterate() => Items;

    public override Value? GetItem(Value key, Budget budget)
    {
        if (!key.TryGetInteger(out var index)) return null;
        if (index < 0) index += Items.Length;
        return index >= 0 && index < Items.Length ? Items[index] : null;
    }

    public override Value Pick(Func<int, SliceRange> rangeOf, ValueContext context)
    {
        var range = rangeOf(Items.Length);
        context.Budget.MakeElements(range.Count);
        var picked = new Value[range.Count];
        for (var i = 0; i < picked.Length; i++) picked[i] = Items[range[i]];
        return With(picked);
    }

    /// <summary>A value of the same kind with other items.</summary>
    public abstract SequenceValue With(Value[] items);

    protected void WriteItems(BoundedText output)
    {
        for (var i = 0; i < Items.Length; i++)
        {
            if (i > 0) output.Append(", ");
            Items[i].WriteRepr(output);
        }
    }
}

/// <summary>A list. It never changes: the sandbox that templates are written for refuses methods such as <c>append</c>.</summary>
sealed class ListValue(Value[] items) : SequenceValue(items)
{
    public override string TypeName => "list";

    public override SequenceValue With(Value[] items) => new ListValue(items);

    public override void WriteRepr(BoundedText output)
    {
        output.Append('[');
        WriteItems(output);
        output.Append(']');
    }
}

sealed class TupleValue(params Value[] items) : SequenceValue(items)
{
    public override string TypeName => "tuple";

    public override SequenceValue With(Value[] items) => new TupleValue(items);

    public override void WriteRepr(BoundedText output)
    {
        output.Append('(');
        WriteItems(output);
        output.Append(Items.Length == 1 ? ",)" : ")");
    }
}

/// <summary>One group that <c>groupby</c> gives: its key and its elements, as a pair or by name.</summary>
sealed class GroupValue(Value grouper, ListValue list) : SequenceValue([grouper, list])
{
    public override string TypeName => "tuple";

    public override SequenceValue With(Value[] items) => new TupleValue(items);

    public override Value? GetAttribute(string name) => name switch
    {
        "grouper" => Items[0],
        "list" => Items[1],
        _ => null,
    };

    public override void WriteRepr(BoundedText output)
    {
        output.Append('(');
        WriteItems(output);
        output.Append(')');
    }
}

/// <summary>The integers from <paramref name="start"/> up to, but without, <paramref name="stop"/>.</summary>
sealed class RangeValue(long start, long stop, long step, int count) : Value
{
    public override string TypeName => "range";

    public override bool IsTrue => count > 0;

    public override int? Count => count;

    public override IEnumerable<Value> Iterate()
    {
        for (var i = 0; i < count; i++) yield return At(i);
    }

    public override Value? GetItem(Value key, Budget budget)
    {
        if (!key.TryGetInteger(out var index)) return null;
        if (index < 0) index += count;
        return index >= 0 && index < count ? At((int)index) : null;
    }

    public override Value Pick(Func<int, SliceRange> rangeOf, ValueContext context)
    {
        var range = rangeOf(count);
        var first = start + range.Start * step;
        return new RangeValue(first, first + range.Count * range.Step * step, range.Step * step, range.Count);
    }

    public override void WriteRepr(BoundedText output) => output.Append(step == 1 ? $"range({start}, {stop})" : $"range({start}, {stop}, {step})");

    IntegerValue At(int index) => new(start + index * step);
}

/// <summary>The indices start, start + step, and so on; <see cref="Count"/> of them.</summary>
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

/// <summary>
/// What <c>select</c>, <c>map</c> and other filters give. Elements are made when they are asked for, and only once: a second walk goes on
/// where the first stopped. A generator counts as true even if nothing is left.
/// </summary>
/// <param name="source">What the elements come from. It counts for the depth, so that chains of generators are bounded too.</param>
/// <param name="elements">The elements, walked once.</param>
sealed class GeneratorValue(Value source, IEnumerable<Value> elements) : Value
{
    readonly IEnumerator<Value> _elements = elements.GetEnumerator();

    public override int Depth { get; } = Nesting.Around([source]);

    public override string TypeName => "generator";

    public override IEnumerable<Value> Iterate()
    {
        while (_elements.MoveNext()) yield return _elements.Current;
    }

    public override void WriteRepr(BoundedText output) => output.Append("<generator object>");
}

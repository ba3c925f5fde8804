using LlamaCluster.Text.Templates.Builtins;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

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

    public override Value? GetAttribute(string name) => SequenceMethods.Find(this, name);

    public override Value? GetItem(Value key)
    {
        if (!key.TryGetInteger(out var index)) return null;
        if (index < 0) index += Items.Length;
        return index >= 0 && index < Items.Length ? Items[index] : null;
    }

    public override Value Pick(Func<int, SliceRange> rangeOf, RenderContext context)
    {
        var range = rangeOf(Items.Length);
        context.Budget.Spend(range.Count);
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

using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>What <c>items()</c>, <c>keys()</c> and <c>values()</c> of a dictionary give: sized, and iterable any number of times.</summary>
sealed class DictionaryViewValue(string typeName, Value[] items) : Value
{
    readonly ListValue _items = new(items);

    public override string TypeName => typeName;

    public override int Depth => _items.Depth;

    public override bool IsTrue => items.Length > 0;

    public override int? Count => items.Length;

    public override IEnumerable<Value> Iterate() => items;

    public override void WriteRepr(BoundedText output)
    {
        output.Append(typeName).Append('(');
        _items.WriteRepr(output);
        output.Append(')');
    }
}

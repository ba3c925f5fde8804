using LlamaCluster.Text.Templates.Builtins;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>A mapping that keeps the order of its keys, which are texts, numbers, booleans or none.</summary>
sealed class DictionaryValue : Value
{
    readonly OrderedDictionary<Value, Value> _entries = new(KeyEquality.Instance);

    public DictionaryValue(IEnumerable<KeyValuePair<Value, Value>> entries)
    {
        foreach (var (key, value) in entries) _entries[KeyEquality.Checked(key)] = value;
        Depth = Nesting.Around(_entries.Values);
    }

    public IReadOnlyDictionary<Value, Value> Entries => _entries;

    public override int Depth { get; }

    public override string TypeName => "dict";

    public override bool IsTrue => _entries.Count > 0;

    public override int? Count => _entries.Count;

    public override IEnumerable<Value> Iterate() => _entries.Keys;

    public override Value? GetAttribute(string name) => DictionaryMethods.Find(this, name);

    public override Value? GetItem(Value key) => KeyEquality.IsKey(key) ? _entries.GetValueOrDefault(key) : null;

    public override void WriteRepr(BoundedText output)
    {
        output.Append('{');
        var separator = "";
        foreach (var (key, value) in _entries)
        {
            output.Append(separator);
            key.WriteRepr(output);
            output.Append(": ");
            value.WriteRepr(output);
            separator = ", ";
        }
        output.Append('}');
    }
}

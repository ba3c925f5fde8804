using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>
/// What can be the key of a dictionary, and when two keys are the same: by Python's rule 1, 1.0 and True are. Keys are texts, numbers,
/// booleans, none, undefined, and tuples of these.
/// </summary>
sealed class KeyEquality : IEqualityComparer<Value>
{
    public static readonly KeyEquality Instance = new();

    public static bool IsKey(Value value) => IsPlain(value) || (value is TupleValue tuple && tuple.Items.All(IsPlain));

    public static Value Checked(Value key) => IsKey(key) ? key : throw new TemplateFault($"unhashable type: '{key.TypeName}'");

    public bool Equals(Value? x, Value? y) => (x, y) switch
    {
        (StringValue a, StringValue b) => a.Text == b.Text,
        (TupleValue a, TupleValue b) => a.Items.SequenceEqual(b.Items, this),
        ({ } a, { } b) when a.TryGetInteger(out var i) && b.TryGetInteger(out var j) => i == j,
        ({ } a, { } b) when a.TryGetNumber(out var i) && b.TryGetNumber(out var j) => i == j,
        _ => (x is NoneValue && y is NoneValue) || (x is UndefinedValue && y is UndefinedValue),
    };

    public int GetHashCode(Value value) => value switch
    {
        StringValue text => text.Text.GetHashCode(),
        TupleValue tuple => tuple.Items.Aggregate(tuple.Items.Length, (hash, item) => HashCode.Combine(hash, GetHashCode(item))),
        _ => value.TryGetNumber(out var number) ? number.GetHashCode() : 0,
    };

    static bool IsPlain(Value value) => value is StringValue or NoneValue or UndefinedValue || value.TryGetNumber(out _);
}

using LlamaCluster.Model.Text.Templates.Runtime;

namespace LlamaCluster.Model.Text.Templates.Values;

/// <summary>When two keys of a dictionary are the same: by Python's rule 1, 1.0 and True are.</summary>
sealed class KeyEquality : IEqualityComparer<Value>
{
    public static readonly KeyEquality Instance = new();

    public static bool IsKey(Value value) => value is StringValue or NoneValue || value.TryGetNumber(out _);

    public static Value Checked(Value key) => IsKey(key) ? key : throw new TemplateFault($"unhashable type: '{key.TypeName}'");

    public bool Equals(Value? x, Value? y) => (x, y) switch
    {
        (StringValue a, StringValue b) => a.Text == b.Text,
        ({ } a, { } b) when a.TryGetInteger(out var i) && b.TryGetInteger(out var j) => i == j,
        ({ } a, { } b) when a.TryGetNumber(out var i) && b.TryGetNumber(out var j) => i == j,
        _ => x is NoneValue && y is NoneValue,
    };

    public int GetHashCode(Value value) =>
        value is StringValue text ? text.Text.GetHashCode() : value.TryGetNumber(out var number) ? number.GetHashCode() : 0;
}

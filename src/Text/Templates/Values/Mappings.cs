using System.Diagnostics.CodeAnalysis;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>A mapping that keeps the order of its keys. What can be a key: see <see cref="KeyEquality"/>.</summary>
sealed class DictionaryValue : Value
{
    readonly OrderedDictionary<Value, Value> _entries = new(KeyEquality.Instance);

    public DictionaryValue(IEnumerable<KeyValuePair<Value, Value>> entries, Budget budget)
    {
        foreach (var (key, value) in entries)
        {
            budget.MakeElements(1);
            _entries[KeyEquality.Checked(key, budget)] = value;
        }
        Depth = Nesting.Around(_entries.Values);
    }

    /// <summary>In order. To look a key up is <see cref="TryGet"/>, which counts.</summary>
    public IReadOnlyCollection<KeyValuePair<Value, Value>> Entries => _entries;

    public IReadOnlyCollection<Value> Keys => _entries.Keys;

    public IReadOnlyCollection<Value> Values => _entries.Values;

    public override int Depth { get; }

    public override string TypeName => "dict";

    public override bool IsTrue => _entries.Count > 0;

    public override int? Count => _entries.Count;

    public override IEnumerable<Value> Iterate() => _entries.Keys;

    /// <summary>Each key with its value, as a pair.</summary>
    public IEnumerable<Value> Items() => _entries.Select(entry => new TupleValue(entry.Key, entry.Value));

    public override Value? GetItem(Value key, Budget budget) => KeyEquality.IsKey(key, budget) && TryGet(key, budget, out var value) ? value : null;

    /// <param name="key">One that can be a key.</param>
    public bool TryGet(Value key, Budget budget, [NotNullWhen(true)] out Value? value)
    {
        KeyEquality.Pay(key, budget);
        return _entries.TryGetValue(key, out value);
    }

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

/// <summary>What <c>items()</c>, <c>keys()</c> and <c>values()</c> of a dictionary give. A view has a length and can be iterated any number of times.</summary>
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

/// <summary>What <c>namespace()</c> gives. Its attributes can be set inside a loop and keep their values after it.</summary>
sealed class NamespaceValue(Dictionary<string, Value> attributes) : Value
{
    public override string TypeName => "Namespace";

    public override Value? GetAttribute(string name) => attributes.GetValueOrDefault(name);

    public void Set(string name, Value value) => attributes[name] = value;

    // The attributes are left out, because a namespace may contain itself.
    public override void WriteRepr(BoundedText output) => output.Append("<Namespace>");
}

/// <summary>
/// What can be the key of a dictionary, and when two keys are the same. By Python's rule 1, 1.0 and True are the same key. Keys are texts,
/// numbers, booleans, none, undefined, and tuples of these.
/// </summary>
sealed class KeyEquality : IEqualityComparer<Value>
{
    public static readonly KeyEquality Instance = new();

    public static bool IsKey(Value value, Budget budget)
    {
        if (value is not TupleValue tuple) return IsPlain(value);
        budget.Spend(tuple.Items.Length);
        return tuple.Items.All(IsPlain);
    }

    /// <summary>The key, if it can be one; counts one look at it.</summary>
    public static Value Checked(Value key, Budget budget)
    {
        if (!IsKey(key, budget)) throw new TemplateFault($"unhashable type: '{key.TypeName}'");
        Pay(key, budget);
        return key;
    }

    /// <summary>Counts what it takes to hash a key and to compare it with another: a long text is read to its end.</summary>
    public static void Pay(Value key, Budget budget)
    {
        budget.Spend(1);
        if (key is StringValue text) budget.SpendOnText(2L * text.Text.Length);
        else if (key is TupleValue tuple)
            foreach (var item in tuple.Items) Pay(item, budget);
    }

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
        // Mixed, because a number's own hash code is no secret, and keys that share one make a mapping slow. Plus zero, so that -0.0 is 0.
        _ => value.TryGetNumber(out var number) ? HashCode.Combine((int)(Bits(number) >> 32), (int)Bits(number)) : 0,
    };

    static long Bits(double number) => BitConverter.DoubleToInt64Bits(number + 0.0);

    static bool IsPlain(Value value) => value is StringValue or NoneValue or UndefinedValue || value.TryGetNumber(out _);
}

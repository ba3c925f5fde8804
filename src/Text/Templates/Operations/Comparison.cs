using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Operations;

/// <summary>Equality, order and membership by Python's rules.</summary>
static class Comparison
{
    /// <summary>Whether one comparison is true. Comparison operators use it, and so do tests such as <c>is gt 3</c> and <c>select("in", list)</c>.</summary>
    public static bool Holds(string operation, Value left, Value right, ValueContext context) => operation switch
    {
        "==" => AreEqual(left, right, context.Budget),
        "!=" => !AreEqual(left, right, context.Budget),
        "in" => Contains(right, left, context),
        "not in" => !Contains(right, left, context),
        "<" => Compare(left, right, operation, context.Budget) < 0,
        "<=" => Compare(left, right, operation, context.Budget) <= 0,
        ">" => Compare(left, right, operation, context.Budget) > 0,
        _ => Compare(left, right, operation, context.Budget) >= 0,
    };

    public static bool AreEqual(Value left, Value right, Budget budget)
    {
        budget.Spend(1);
        if (ReferenceEquals(left, right)) return left is not FloatValue { Number: double.NaN };
        switch (left, right)
        {
            case (StringValue a, StringValue b):
                budget.SpendOnText(Math.Min(a.Text.Length, b.Text.Length));
                return a.Text == b.Text;
            case (SequenceValue a, SequenceValue b):
                if (a.GetType() != b.GetType() || a.Items.Length != b.Items.Length) return false;
                for (var i = 0; i < a.Items.Length; i++)
                    if (!AreEqual(a.Items[i], b.Items[i], budget)) return false;
                return true;
            case (DictionaryValue a, DictionaryValue b):
                if (a.Entries.Count != b.Entries.Count) return false;
                foreach (var (key, value) in a.Entries)
                    if (!b.TryGet(key, budget, out var other) || !AreEqual(value, other, budget)) return false;
                return true;
            case (RangeValue a, RangeValue b):
                return a.Count == b.Count && a.Iterate().Zip(b.Iterate()).All(pair => AreEqual(pair.First, pair.Second, budget));
            case (UndefinedValue, UndefinedValue):
                return true;
            default:
                return KeyEquality.IsKey(left, budget) && KeyEquality.IsKey(right, budget) && KeyEquality.Instance.Equals(left, right);
        }
    }

    /// <summary>Negative, zero or positive; null if an operand is NaN. Text is compared by code points, sequences item by item.</summary>
    public static int? Compare(Value left, Value right, string operation, Budget budget)
    {
        budget.Spend(1);
        if (left.TryGetInteger(out var i) && right.TryGetInteger(out var j)) return i.CompareTo(j);
        if (left.TryGetNumber(out var x) && right.TryGetNumber(out var y)) return double.IsNaN(x) || double.IsNaN(y) ? null : x.CompareTo(y);
        if (left is StringValue a && right is StringValue b) return CompareText(a.Text, b.Text, budget);
        if (left is SequenceValue s && right is SequenceValue t && s.GetType() == t.GetType()) return CompareItems(s.Items, t.Items, operation, budget);
        throw (left as UndefinedValue ?? right as UndefinedValue)?.Fault()
            ?? new TemplateFault($"'{operation}' not supported between instances of '{left.TypeName}' and '{right.TypeName}'");
    }

    public static bool Contains(Value container, Value element, ValueContext context)
    {
        switch (container)
        {
            case StringValue text:
                if (element is not StringValue part)
                    throw (element as UndefinedValue)?.Fault() ?? new TemplateFault($"'in <string>' requires string as left operand, not {element.TypeName}");
                return TextSearch.IndexOf(text.Text, part.Text, context.Budget) >= 0;
            case DictionaryValue dictionary:
                return dictionary.TryGet(KeyEquality.Checked(element, context.Budget), context.Budget, out _);
            default:
                if (container.Iterate() is null) throw new TemplateFault($"argument of type '{container.TypeName}' is not iterable");
                foreach (var candidate in context.Elements(container))
                    if (AreEqual(candidate, element, context.Budget)) return true;
                return false;
        }
    }

    /// <summary>By code points, as Python orders text.</summary>
    public static int CompareText(string left, string right, Budget budget)
    {
        budget.SpendOnText(Math.Min(left.Length, right.Length));
        var at = left.AsSpan().CommonPrefixLength(right);
        if (at == left.Length || at == right.Length) return left.Length.CompareTo(right.Length);
        // A surrogate belongs to a code point above all others.
        bool leftHigh = char.IsSurrogate(left[at]), rightHigh = char.IsSurrogate(right[at]);
        return leftHigh == rightHigh ? left[at].CompareTo(right[at]) : leftHigh ? 1 : -1;
    }

    static int? CompareItems(Value[] left, Value[] right, string operation, Budget budget)
    {
        for (var i = 0; i < Math.Min(left.Length, right.Length); i++)
            if (!AreEqual(left[i], right[i], budget)) return Compare(left[i], right[i], operation, budget);
        return left.Length.CompareTo(right.Length);
    }
}

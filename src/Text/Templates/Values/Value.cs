using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>
/// A value of the template language. Templates are written for Jinja2, whose values are Python's: each kind here answers as its
/// Python namesake does, within JSON-like data. Values do not change, with three exceptions: a <see cref="NamespaceValue"/>, and the
/// position of a generator or loop.
/// </summary>
abstract class Value
{
    /// <summary>Python's name of the type, for errors.</summary>
    public abstract string TypeName { get; }

    /// <summary>Whether the value counts as true in a condition.</summary>
    public virtual bool IsTrue => true;

    /// <summary>How many containers are nested in this one; 0 for what holds nothing.</summary>
    public virtual int Depth => 0;

    public virtual bool IsCallable => false;

    /// <summary>Writes what Python's repr() gives.</summary>
    public abstract void WriteRepr(BoundedText output);

    /// <summary>Writes what Python's str() gives.</summary>
    public virtual void WriteText(BoundedText output) => WriteRepr(output);

    /// <summary>What len() gives; null if the value has no length.</summary>
    public virtual int? Count => null;

    /// <summary>The elements in order; null if the value cannot be iterated.</summary>
    public virtual IEnumerable<Value>? Iterate() => null;

    /// <summary>An attribute that belongs to the value's data; null if there is none. Methods are found elsewhere, by the value's type.</summary>
    public virtual Value? GetAttribute(string name) => null;

    /// <summary>The element of a key or index; null if there is none.</summary>
    public virtual Value? GetItem(Value key, Budget budget) => null;

    /// <summary>The elements at the given indices, as a slice gives them; null if the value cannot be sliced.</summary>
    public virtual Value? Pick(Func<int, SliceRange> rangeOf, ValueContext context) => null;

    public virtual Value Call(ValueContext context, CallArguments arguments) => throw new TemplateFault($"'{TypeName}' object is not callable");

    /// <summary>The number that a value stands for where integers are wanted: an integer, or a boolean as 0 or 1.</summary>
    public virtual bool TryGetInteger(out long integer)
    {
        integer = 0;
        return false;
    }

    /// <summary>The number that a value stands for: an integer, a boolean or a float.</summary>
    public bool TryGetNumber(out double number)
    {
        var isInteger = TryGetInteger(out var integer);
        number = this is FloatValue real ? real.Number : integer;
        return isInteger || this is FloatValue;
    }
}

/// <summary>What working with values needs from the rendering around it: its budget and its clock.</summary>
class ValueContext(Budget budget, DateTimeOffset now)
{
    public Budget Budget { get; } = budget;

    public DateTimeOffset Now { get; } = now;

    /// <summary>A new string value, counted.</summary>
    public StringValue Text(ReadOnlySpan<char> text)
    {
        Budget.MakeText(text.Length);
        return new StringValue(text.ToString());
    }

    /// <summary>A new string value that a change of letters makes, counted; its length is that of <paramref name="text"/>.</summary>
    public StringValue Changed(string text, Func<string, string> change)
    {
        Budget.SpendOnLetters(text.Length);
        Budget.MakeText(text.Length);
        return new StringValue(change(text));
    }

    /// <summary>What Python's str() gives for a value.</summary>
    public string TextOf(Value value)
    {
        if (value is StringValue text) return text.Text;
        var output = new BoundedText(Budget);
        value.WriteText(output);
        return output.ToString();
    }

    /// <summary>The elements of a list, the keys of a dictionary, the characters of a string, and so on.</summary>
    public IEnumerable<Value> Elements(Value value)
    {
        var elements = value.Iterate() ?? throw new TemplateFault($"'{value.TypeName}' object is not iterable");
        foreach (var element in elements)
        {
            Budget.Spend(1);
            yield return element;
        }
    }

    public ListValue ListOf(IEnumerable<Value> elements)
    {
        var list = new List<Value>();
        foreach (var element in elements)
        {
            Budget.MakeElements(1);
            list.Add(element);
        }
        return new ListValue([.. list]);
    }
}

using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>
/// A value of the template language. Templates are written for Jinja2, whose values are Python's: each kind here answers as its
/// Python namesake does, within JSON-like data. Immutable, but for a <see cref="NamespaceValue"/> and the place of a generator or loop.
/// </summary>
abstract class Value
{
    /// <summary>Python's name of the type, for errors.</summary>
    public abstract string TypeName { get; }

    /// <summary>Whether it counts as true in a condition.</summary>
    public virtual bool IsTrue => true;

    /// <summary>Containers within containers; 0 for what holds nothing.</summary>
    public virtual int Depth => 0;

    public virtual bool IsCallable => false;

    /// <summary>Writes what Python's repr() gives.</summary>
    public abstract void WriteRepr(BoundedText output);

    /// <summary>Writes what Python's str() gives.</summary>
    public virtual void WriteText(BoundedText output) => WriteRepr(output);

    /// <summary>What len() gives; null if it has none.</summary>
    public virtual int? Count => null;

    /// <summary>Its elements in order; null if it cannot be iterated.</summary>
    public virtual IEnumerable<Value>? Iterate() => null;

    /// <summary>A Python attribute, such as a method; null if there is none.</summary>
    public virtual Value? GetAttribute(string name) => null;

    /// <summary>The element of a key or index; null if there is none.</summary>
    public virtual Value? GetItem(Value key) => null;

    /// <summary>The elements at the given indices, as a slice gives them; null if it cannot be sliced.</summary>
    public virtual Value? Pick(Func<int, SliceRange> rangeOf, RenderContext context) => null;

    public virtual Value Call(RenderContext context, CallArguments arguments) => throw new TemplateFault($"'{TypeName}' object is not callable");

    /// <summary>The number a value stands for where integers are wanted: an integer, or a boolean as 0 or 1.</summary>
    public virtual bool TryGetInteger(out long integer)
    {
        integer = 0;
        return false;
    }

    /// <summary>The number a value stands for: an integer, a boolean or a float.</summary>
    public bool TryGetNumber(out double number)
    {
        var isInteger = TryGetInteger(out var integer);
        number = this is FloatValue real ? real.Number : integer;
        return isInteger || this is FloatValue;
    }
}

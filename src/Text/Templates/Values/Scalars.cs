using System.Globalization;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>
/// The value of a name, attribute or element that does not exist. It is empty text, counts as false and has no elements. Any other use
/// is a fault, whose message says what does not exist.
/// </summary>
sealed class UndefinedValue(string reason) : Value
{
    /// <summary>The value of a name that was never set.</summary>
    public static UndefinedValue Name(string name) => new($"'{name}' is undefined");

    /// <summary>The value of an attribute or element that <paramref name="value"/> does not have.</summary>
    public static UndefinedValue Missing(Value value, Value key) => new(
        value is NoneValue ? $"'None' has no attribute '{Describe(key)}'"
        : key is StringValue ? $"'{value.TypeName} object' has no attribute '{Describe(key)}'"
        : $"{value.TypeName} object has no element {Describe(key)}");

    public string Reason { get; } = reason;

    public override string TypeName => "Undefined";

    public override bool IsTrue => false;

    public override int? Count => 0;

    public override IEnumerable<Value> Iterate() => [];

    public override void WriteRepr(BoundedText output) => output.Append("Undefined");

    public override void WriteText(BoundedText output)
    {
    }

    public override Value GetAttribute(string name) => throw Fault();

    public override Value GetItem(Value key, Budget budget) => throw Fault();

    public override Value Pick(Func<int, SliceRange> rangeOf, ValueContext context) => throw Fault();

    public override Value Call(ValueContext context, CallArguments arguments) => throw Fault();

    public TemplateFault Fault() => new(Reason);

    static string Describe(Value key) => key switch
    {
        StringValue text => ErrorText.Show(text.Text),
        IntegerValue integer => integer.Integer.ToString(CultureInfo.InvariantCulture),
        _ => $"of type {key.TypeName}",
    };
}

sealed class NoneValue : Value
{
    public static readonly NoneValue Instance = new();

    public override string TypeName => "NoneType";

    public override bool IsTrue => false;

    public override void WriteRepr(BoundedText output) => output.Append("None");
}

sealed class BooleanValue : Value
{
    public static readonly BooleanValue True = new(), False = new();

    public static BooleanValue Of(bool value) => value ? True : False;

    public override string TypeName => "bool";

    public override bool IsTrue => this == True;

    public override void WriteRepr(BoundedText output) => output.Append(IsTrue ? "True" : "False");

    public override bool TryGetInteger(out long integer)
    {
        integer = IsTrue ? 1 : 0;
        return true;
    }
}

/// <summary>An integer of 64 bits. Python's integers have no limit; a result that does not fit here is a fault.</summary>
sealed class IntegerValue(long integer) : Value
{
    public long Integer { get; } = integer;

    public override string TypeName => "int";

    public override bool IsTrue => Integer != 0;

    public override void WriteRepr(BoundedText output) => output.Append(Integer.ToString(CultureInfo.InvariantCulture));

    public override bool TryGetInteger(out long integer)
    {
        integer = Integer;
        return true;
    }
}

sealed class FloatValue(double number) : Value
{
    public double Number { get; } = number;

    public override string TypeName => "float";

    public override bool IsTrue => Number != 0;

    public override void WriteRepr(BoundedText output) => output.Append(FloatText.Repr(Number));
}

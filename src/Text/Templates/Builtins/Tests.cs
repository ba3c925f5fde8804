using System.Collections.Frozen;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>A test: whether the value before <c>is</c> has a property.</summary>
delegate bool Test(ValueContext context, Value value, CallArguments arguments);

/// <summary>The tests by name, as in Jinja2.</summary>
static class Tests
{
    static readonly FrozenDictionary<string, Test> ByName = new Dictionary<string, Test>
    {
        ["defined"] = Plain("defined", value => value is not UndefinedValue),
        ["undefined"] = Plain("undefined", value => value is UndefinedValue),
        ["none"] = Plain("none", value => value is NoneValue),
        ["boolean"] = Plain("boolean", value => value is BooleanValue),
        ["true"] = Plain("true", value => value == BooleanValue.True),
        ["false"] = Plain("false", value => value == BooleanValue.False),
        ["integer"] = Plain("integer", value => value is IntegerValue),
        ["float"] = Plain("float", value => value is FloatValue),
        ["number"] = Plain("number", value => value.TryGetNumber(out _)),
        ["string"] = Plain("string", value => value is StringValue),
        ["mapping"] = Plain("mapping", value => value is DictionaryValue),
        ["iterable"] = Plain("iterable", value => value.Iterate() is not null),
        ["sequence"] = Plain("sequence", value => value is StringValue or SequenceValue or DictionaryValue or RangeValue or UndefinedValue),
        ["callable"] = Plain("callable", value => value.IsCallable),
        ["escaped"] = Plain("escaped", value => value is StringValue { IsMarkup: true }),
        ["odd"] = (context, value, _) => Remainder(value, new IntegerValue(2), context) == 1,
        ["even"] = (context, value, _) => Remainder(value, new IntegerValue(2), context) == 0,
        ["lower"] = (context, value, _) => HasCase(context, value, LetterCase.IsLower),
        ["upper"] = (context, value, _) => HasCase(context, value, LetterCase.IsUpper),
        ["filter"] = Plain("filter", value => value is StringValue name && Filters.Exists(name.Text)),
        ["test"] = Plain("test", value => value is StringValue name && Exists(name.Text)),
        ["divisibleby"] = (context, value, arguments) => Remainder(value, Single("divisibleby", arguments), context) == 0,
        ["sameas"] = (context, value, arguments) => IsSame(value, Single("sameas", arguments), context.Budget),
        ["in"] = Comparing("in"),
        ["=="] = Comparing("=="),
        ["eq"] = Comparing("=="),
        ["equalto"] = Comparing("=="),
        ["!="] = Comparing("!="),
        ["ne"] = Comparing("!="),
        ["<"] = Comparing("<"),
        ["lt"] = Comparing("<"),
        ["lessthan"] = Comparing("<"),
        ["<="] = Comparing("<="),
        ["le"] = Comparing("<="),
        [">"] = Comparing(">"),
        ["gt"] = Comparing(">"),
        ["greaterthan"] = Comparing(">"),
        [">="] = Comparing(">="),
        ["ge"] = Comparing(">="),
    }.ToFrozenDictionary();

    public static bool Exists(string name) => ByName.ContainsKey(name);

    /// <summary>A name that is known to be a test's.</summary>
    public static string Named(string name) => Exists(name) ? name : throw new TemplateFault($"no test named {ErrorText.Quote(name)}");

    /// <summary>Asks a test. A text is paid for once here, as some tests read it from end to end.</summary>
    public static bool Holds(string name, ValueContext context, Value value, CallArguments arguments)
    {
        if (value is StringValue text) context.Budget.SpendOnText(text.Text.Length);
        return ByName[Named(name)](context, value, arguments);
    }

    static bool HasCase(ValueContext context, Value value, Func<string, bool> holds)
    {
        var text = context.TextOf(value);
        context.Budget.SpendOnLetters(text.Length);
        return holds(text);
    }

    static Test Plain(string name, Func<Value, bool> holds) => (_, value, arguments) =>
    {
        arguments.Bind(name);
        return holds(value);
    };

    static Test Comparing(string operation) => (context, value, arguments) =>
        Comparison.Holds(operation, value, Single(operation, arguments), context);

    static Value Single(string name, CallArguments arguments) => arguments.Bind(name, "other")[0].Required(name, "other");

    static double? Remainder(Value value, Value divisor, ValueContext context) =>
        Arithmetic.Apply("%", value, divisor, context).TryGetNumber(out var rest) ? rest : null;

    /// <summary>Python's <c>is</c>: whether both are the same object. Python may share plain values, so for those it is the same type and value.</summary>
    static bool IsSame(Value left, Value right, Budget budget) => ReferenceEquals(left, right) || (left, right) switch
    {
        (StringValue, StringValue) => Comparison.AreEqual(left, right, budget),
        (IntegerValue a, IntegerValue b) => a.Integer == b.Integer,
        _ => false,
    };
}

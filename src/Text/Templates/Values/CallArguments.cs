using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>A function of the language, or a method bound to its value.</summary>
sealed class FunctionValue(string name, Func<ValueContext, CallArguments, Value> body) : Value
{
    public string Name { get; } = name;

    public override string TypeName => "function";

    public override bool IsCallable => true;

    public override Value Call(ValueContext context, CallArguments arguments) => body(context, arguments);

    public override void WriteRepr(BoundedText output) => output.Append("<function ").Append(Name).Append('>');
}

/// <summary>What a call passes: values in order, and values by name.</summary>
sealed record CallArguments(IReadOnlyList<Value> Positional, IReadOnlyDictionary<string, Value> Named)
{
    static readonly Dictionary<string, Value> NoNames = [];

    public static readonly CallArguments None = new([], NoNames);

    public CallArguments(IReadOnlyList<Value> positional) : this(positional, NoNames)
    {
    }

    /// <summary>The same arguments without the first positional values.</summary>
    public CallArguments Skip(int count, Budget budget)
    {
        budget.MakeElements(Positional.Count);
        return this with { Positional = [.. Positional.Skip(count)] };
    }

    /// <summary>The arguments in the order of a function's parameters; null for those not given. Too many arguments or unknown names are a fault.</summary>
    public Value?[] Bind(string function, params ReadOnlySpan<string> parameters)
    {
        if (Positional.Count > parameters.Length)
            throw new TemplateFault($"{function}() takes at most {parameters.Length} arguments, {Positional.Count} were given");
        var bound = new Value?[parameters.Length];
        for (var i = 0; i < Positional.Count; i++) bound[i] = Positional[i];
        foreach (var (name, value) in Named)
        {
            var index = parameters.IndexOf(name);
            if (index < 0) throw new TemplateFault($"{function}() got an unexpected keyword argument {ErrorText.Quote(name)}");
            if (bound[index] is not null) throw new TemplateFault($"{function}() got multiple values for argument {ErrorText.Quote(name)}");
            bound[index] = value;
        }
        return bound;
    }
}

/// <summary>Reads the arguments of functions, methods, filters and tests. A wrong type is a fault that names the function and the type.</summary>
static class ArgumentConversions
{
    public static Value Required(this Value? argument, string function, string parameter) =>
        argument ?? throw new TemplateFault($"{function}() needs the argument '{parameter}'");

    public static string AsText(this Value value, string function) =>
        value is StringValue text ? text.Text : throw WrongKind(value, function, "text");

    public static long AsInteger(this Value value, string function) =>
        value.TryGetInteger(out var integer) ? integer : throw WrongKind(value, function, "an integer");

    /// <summary>An integer that serves as a count or width; one that does not fit 32 bits becomes the nearest that does.</summary>
    public static int AsCount(this Value value, string function) => (int)Math.Clamp(value.AsInteger(function), int.MinValue, int.MaxValue);

    static TemplateFault WrongKind(Value value, string function, string wanted) =>
        value is UndefinedValue undefined ? undefined.Fault() : new TemplateFault($"{function}() wants {wanted}, not '{value.TypeName}'");
}

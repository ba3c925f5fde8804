using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Builtins;

/// <summary>The functions every template can call: Jinja2's, and those that transformers adds.</summary>
static class Functions
{
    static readonly FunctionValue[] All =
    [
        new("range", Range),
        new("dict", (context, arguments) => new DictionaryValue(Entries(context, arguments, "dict"))),
        new("namespace", Namespace),
        new("raise_exception", (context, arguments) => throw new TemplateFault(
            context.TextOf(arguments.Bind("raise_exception", "message")[0].Required("raise_exception", "message")), raisedByTemplate: true)),
        new("strftime_now", (context, arguments) => context.Text(
            TimeFormat.Format(context.Now, arguments.Bind("strftime_now", "format")[0].Required("strftime_now", "format").AsText("strftime_now")))),
    ];

    public static Scope NewScope()
    {
        var scope = new Scope(null);
        foreach (var function in All) scope.Set(function.Name, function);
        return scope;
    }

    static Value Range(RenderContext context, CallArguments arguments)
    {
        var bound = arguments.Bind("range", "start", "stop", "step");
        var first = bound[0].Required("range", "stop").AsInteger("range");
        var (start, stop) = bound[1] is null ? (0, first) : (first, bound[1]!.AsInteger("range"));
        var step = bound[2]?.AsInteger("range") ?? 1;
        if (step == 0) throw new TemplateFault("range() arg 3 must not be zero");
        var span = step > 0 ? (Int128)stop - start : (Int128)start - stop;
        var count = span <= 0 ? 0 : (span - 1) / Int128.Abs(step) + 1;
        if (count > TemplateLimits.RangeLength) throw new TemplateFault($"range() of more than {TemplateLimits.RangeLength:N0} elements is refused");
        return new RangeValue(start, stop, step, (int)count);
    }

    static Value Namespace(RenderContext context, CallArguments arguments)
    {
        var attributes = new Dictionary<string, Value>();
        foreach (var (key, value) in Entries(context, arguments, "namespace")) attributes[key.AsText("namespace")] = value;
        return new NamespaceValue(attributes);
    }

    /// <summary>What <c>dict(mapping or pairs, name=value...)</c> holds.</summary>
    static IEnumerable<KeyValuePair<Value, Value>> Entries(RenderContext context, CallArguments arguments, string function)
    {
        if (arguments.Positional.Count > 1) throw new TemplateFault($"{function} expected at most 1 argument, got {arguments.Positional.Count}");
        var source = arguments.Positional.Count == 0 ? [] : arguments.Positional[0] is DictionaryValue given ? given.Entries
            : context.Elements(arguments.Positional[0]).Select(pair => Pair(context, pair, function));
        foreach (var entry in source) yield return entry;
        foreach (var (name, value) in arguments.Named) yield return new(new StringValue(name), value);
    }

    static KeyValuePair<Value, Value> Pair(RenderContext context, Value value, string function) =>
        context.Elements(value).Take(3).ToArray() is [var key, var item] ? new(key, item) : throw new TemplateFault($"{function}() wants pairs of a key and a value");
}

using LlamaCluster.Primitives;
using LlamaCluster.Text.Templates.Builtins;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Nodes;

/// <summary>The arguments of a call, filter or test: <c>(a, name=b, *more, **others)</c>.</summary>
sealed record ArgumentList(
    IReadOnlyList<Expression> Positional, IReadOnlyList<(string Name, Expression Value)> Named, Expression? Spread, Expression? NamedSpread)
{
    public static readonly ArgumentList None = new([], [], null, null);

    public CallArguments Evaluate(RenderContext context)
    {
        if (this == None) return CallArguments.None;
        var positional = new List<Value>(Positional.Count);
        foreach (var argument in Positional) positional.Add(argument.Evaluate(context));
        var named = new Dictionary<string, Value>(Named.Count);
        foreach (var (name, value) in Named)
            if (!named.TryAdd(name, value.Evaluate(context))) throw new TemplateFault($"keyword argument repeated: {name}");
        if (Spread is not null) positional.AddRange(context.Elements(Spread.Evaluate(context)));
        if (NamedSpread is not null) AddNamed(NamedSpread.Evaluate(context), named, context.Budget);
        return new CallArguments(positional, named);
    }

    static void AddNamed(Value value, Dictionary<string, Value> named, Budget budget)
    {
        if (value is not DictionaryValue dictionary) throw new TemplateFault($"argument after ** must be a mapping, not {value.TypeName}");
        foreach (var (key, argument) in dictionary.Entries)
        {
            budget.MakeElements(1);
            KeyEquality.Pay(key, budget);
            var name = key.AsText("**");
            if (!named.TryAdd(name, argument)) throw new TemplateFault($"got multiple values for keyword argument {ErrorText.Quote(name)}");
        }
    }
}

/// <summary><c>target(arguments)</c>.</summary>
sealed class CallExpression(int line, Expression target, ArgumentList arguments) : Expression(line)
{
    protected override Value Compute(RenderContext context) => target.Evaluate(context).Call(context, arguments.Evaluate(context));

    /// <summary>Calls with an additional argument <c>caller</c>, as a call block does.</summary>
    public Value CallWith(RenderContext context, Value caller)
    {
        var function = target.Evaluate(context);
        var given = arguments.Evaluate(context);
        return function.Call(context, given with { Named = new Dictionary<string, Value>(given.Named) { ["caller"] = caller } });
    }
}

/// <summary><c>target | name(arguments)</c>; in a filter block the target is the block's text.</summary>
sealed class FilterExpression(int line, Expression? target, string name, ArgumentList arguments) : Expression(line)
{
    protected override Value Compute(RenderContext context) =>
        Apply((target ?? throw new InvalidOperationException("a block's filter is applied, not evaluated")).Evaluate(context), context);

    /// <summary>Applies the filter to a block's text, the innermost filter first.</summary>
    public Value ApplyToBlock(Value text, RenderContext context) =>
        Apply(target is FilterExpression inner ? inner.ApplyToBlock(text, context) : text, context);

    Value Apply(Value value, RenderContext context) => Filters.Apply(name, context, value, arguments.Evaluate(context));
}

/// <summary><c>target is name(arguments)</c>.</summary>
sealed class TestExpression(int line, Expression target, string name, ArgumentList arguments) : Expression(line)
{
    protected override Value Compute(RenderContext context) =>
        BooleanValue.Of(Tests.Holds(name, context, target.Evaluate(context), arguments.Evaluate(context)));
}

using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

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
        if (NamedSpread is not null) AddNamed(NamedSpread.Evaluate(context), named);
        return new CallArguments(positional, named);
    }

    static void AddNamed(Value value, Dictionary<string, Value> named)
    {
        if (value is not DictionaryValue dictionary) throw new TemplateFault($"argument after ** must be a mapping, not {value.TypeName}");
        foreach (var (key, argument) in dictionary.Entries)
            if (!named.TryAdd(key.AsText("**"), argument)) throw new TemplateFault($"got multiple values for keyword argument '{key.AsText("**")}'");
    }
}

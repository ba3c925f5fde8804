using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>What a call passes: values in order, and values by name.</summary>
sealed record CallArguments(IReadOnlyList<Value> Positional, IReadOnlyDictionary<string, Value> Named)
{
    static readonly Dictionary<string, Value> NoNames = [];

    public static readonly CallArguments None = new([], NoNames);

    public CallArguments(IReadOnlyList<Value> positional) : this(positional, NoNames)
    {
    }

    /// <summary>The same without the first positional values.</summary>
    public CallArguments Skip(int count) => this with { Positional = [.. Positional.Skip(count)] };

    /// <summary>The arguments in the order of a function's parameters, null for those not given. More or others are a fault.</summary>
    public Value?[] Bind(string function, params ReadOnlySpan<string> parameters)
    {
        if (Positional.Count > parameters.Length)
            throw new TemplateFault($"{function}() takes at most {parameters.Length} arguments, {Positional.Count} were given");
        var bound = new Value?[parameters.Length];
        for (var i = 0; i < Positional.Count; i++) bound[i] = Positional[i];
        foreach (var (name, value) in Named)
        {
            var index = parameters.IndexOf(name);
            if (index < 0) throw new TemplateFault($"{function}() got an unexpected keyword argument '{name}'");
            if (bound[index] is not null) throw new TemplateFault($"{function}() got multiple values for argument '{name}'");
            bound[index] = value;
        }
        return bound;
    }
}

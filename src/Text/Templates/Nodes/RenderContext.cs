using System.Diagnostics.CodeAnalysis;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Nodes;

/// <summary>The state of one rendering.</summary>
sealed class RenderContext : ValueContext
{
    public RenderContext(Budget budget, Scope scope, DateTimeOffset now) : base(budget, now)
    {
        Scope = scope;
        Output = new BoundedText(budget);
    }

    /// <summary>Where names are looked up and set.</summary>
    public Scope Scope { get; private set; }

    /// <summary>Where text goes: to the prompt, or to the macro or block that is being rendered.</summary>
    public BoundedText Output { get; private set; }

    /// <summary>Line of the node that was entered last, for errors.</summary>
    public int Line { get; private set; } = 1;

    public void Enter(int line)
    {
        Line = line;
        Budget.Enter();
    }

    public void Leave() => Budget.Leave();

    /// <summary>Renders a body in a scope of its own; its text goes to the current output.</summary>
    public Flow RenderIn(Scope scope, Body body)
    {
        var outer = Scope;
        Scope = scope;
        var flow = body.Render(this);
        Scope = outer;
        return flow;
    }

    /// <summary>The text of a body rendered in a scope of its own.</summary>
    public StringValue Capture(Scope scope, Body body)
    {
        var outer = Output;
        Output = new BoundedText(Budget);
        RenderIn(scope, body);
        var text = Output.ToString();
        Output = outer;
        return new StringValue(text);
    }

    /// <summary>The value of an expression whose names are looked up in another scope.</summary>
    public Value EvaluateIn(Scope scope, Expression expression)
    {
        var outer = Scope;
        Scope = scope;
        var value = expression.Evaluate(this);
        Scope = outer;
        return value;
    }
}

/// <summary>
/// Names and their values. Each round of a loop, each call of a macro and some blocks have their own scope; a name set there is gone
/// afterwards.
/// </summary>
sealed class Scope(Scope? parent)
{
    Dictionary<string, Value>? _names;

    public void Set(string name, Value value) => (_names ??= [])[name] = value;

    public bool TryGet(string name, [NotNullWhen(true)] out Value? value)
    {
        for (var scope = this; scope is not null; scope = scope.Parent)
            if (scope._names is { } names && names.TryGetValue(name, out value)) return true;
        value = null;
        return false;
    }

    Scope? Parent { get; } = parent;
}

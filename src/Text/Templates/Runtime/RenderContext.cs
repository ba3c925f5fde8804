using LlamaCluster.Text.Templates.Expressions;
using LlamaCluster.Text.Templates.Statements;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Runtime;

/// <summary>The state of one rendering.</summary>
sealed class RenderContext
{
    public RenderContext(Budget budget, Scope scope, DateTimeOffset now)
    {
        Budget = budget;
        Scope = scope;
        Now = now;
        Output = new BoundedText(budget);
    }

    public Budget Budget { get; }

    public DateTimeOffset Now { get; }

    /// <summary>Where names are looked up and set.</summary>
    public Scope Scope { get; private set; }

    /// <summary>Where text goes: the prompt, or the body of a macro or block under way.</summary>
    public BoundedText Output { get; private set; }

    /// <summary>Line of the node that was entered last, for errors.</summary>
    public int Line { get; private set; } = 1;

    public void Enter(int line)
    {
        Line = line;
        Budget.Enter();
    }

    public void Leave() => Budget.Leave();

    /// <summary>Renders a body in a scope of its own; what it says goes to the present output.</summary>
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

    /// <summary>The value of an expression among the names of another scope.</summary>
    public Value EvaluateIn(Scope scope, Expression expression)
    {
        var outer = Scope;
        Scope = scope;
        var value = expression.Evaluate(this);
        Scope = outer;
        return value;
    }

    /// <summary>A new string value, counted.</summary>
    public StringValue Text(string text)
    {
        Budget.MakeText(text.Length);
        return new StringValue(text);
    }

    /// <summary>What Python's str() gives of a value.</summary>
    public string TextOf(Value value)
    {
        if (value is StringValue text) return text.Text;
        var output = new BoundedText(Budget);
        value.WriteText(output);
        return output.ToString();
    }

    /// <summary>The elements of a list, a dictionary's keys, a string's characters...</summary>
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
            Budget.Spend(1);
            list.Add(element);
        }
        return new ListValue([.. list]);
    }

    /// <summary>An attribute as <c>value.name</c> finds it: Python's own first, then a key.</summary>
    public Value Attribute(Value value, string name) =>
        value.GetAttribute(name) ?? value.GetItem(new StringValue(name)) ?? UndefinedValue.Missing(value, new StringValue(name));

    /// <summary>An element as <c>value[key]</c> finds it: a key or index first, then an attribute of that name.</summary>
    public Value Item(Value value, Value key) =>
        value.GetItem(key) ?? (key is StringValue name ? value.GetAttribute(name.Text) : null) ?? UndefinedValue.Missing(value, key);
}

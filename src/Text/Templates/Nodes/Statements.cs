using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Nodes;

/// <summary>A part of a template that writes text or does something.</summary>
abstract class Statement(int line)
{
    public int Line { get; } = line;

    public Flow Render(RenderContext context)
    {
        context.Enter(Line);
        var flow = Run(context);
        context.Leave();
        return flow;
    }

    protected abstract Flow Run(RenderContext context);
}

/// <summary>How a statement ended: normally, or by ending the loop around it or the current round.</summary>
enum Flow
{
    Next,
    Break,
    Continue,
}

/// <summary>Statements in order: a whole template, or what stands between a tag and its end tag.</summary>
sealed class Body(IReadOnlyList<Statement> statements)
{
    public static readonly Body Empty = new([]);

    public Flow Render(RenderContext context)
    {
        foreach (var statement in statements)
            if (statement.Render(context) is var flow && flow != Flow.Next) return flow;
        return Flow.Next;
    }
}

/// <summary>Text outside of tags.</summary>
sealed class TextStatement(int line, string text) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        context.Output.Append(text);
        return Flow.Next;
    }
}

/// <summary><c>{{ value }}</c>.</summary>
sealed class OutputStatement(int line, Expression value) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        value.Evaluate(context).WriteText(context.Output);
        return Flow.Next;
    }
}

/// <summary><c>if</c>, any number of <c>elif</c>, <c>else</c>.</summary>
sealed class IfStatement(int line, IReadOnlyList<(Expression Condition, Body Body)> branches, Body otherwise) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        foreach (var (condition, body) in branches)
            if (condition.Evaluate(context).IsTrue) return body.Render(context);
        return otherwise.Render(context);
    }
}

/// <summary>
/// A block with a scope of its own: <c>with name = value, ...</c>, or <c>generation</c>, which has no names and with which transformers
/// marks the assistant's words.
/// </summary>
sealed class WithStatement(int line, IReadOnlyList<(AssignmentTarget Target, Expression Value)> names, Body body) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        var scope = new Scope(context.Scope);
        foreach (var (target, value) in names) target.Assign(context, scope, value.Evaluate(context));
        return context.RenderIn(scope, body);
    }
}

/// <summary><c>set target = value</c>.</summary>
sealed class SetStatement(int line, AssignmentTarget target, Expression value) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        target.Assign(context, context.Scope, value.Evaluate(context));
        return Flow.Next;
    }
}

/// <summary><c>set target</c> ... <c>endset</c>: assigns the text in between, filtered if a filter is given.</summary>
sealed class SetBlockStatement(int line, AssignmentTarget target, FilterExpression? filter, Body body) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        Value text = context.Capture(new Scope(context.Scope), body);
        target.Assign(context, context.Scope, filter?.ApplyToBlock(text, context) ?? text);
        return Flow.Next;
    }
}

/// <summary><c>filter name</c> ... <c>endfilter</c>.</summary>
sealed class FilterBlockStatement(int line, FilterExpression filter, Body body) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        filter.ApplyToBlock(context.Capture(new Scope(context.Scope), body), context).WriteText(context.Output);
        return Flow.Next;
    }
}

/// <summary>What <c>set</c> and <c>for</c> assign to.</summary>
abstract class AssignmentTarget
{
    public abstract void Assign(RenderContext context, Scope scope, Value value);
}

/// <summary>A name of the innermost scope.</summary>
sealed class NameTarget(string name) : AssignmentTarget
{
    public override void Assign(RenderContext context, Scope scope, Value value) => scope.Set(name, value);
}

/// <summary>An attribute of a namespace, <c>name.attribute</c>.</summary>
sealed class NamespaceTarget(string name, string attribute) : AssignmentTarget
{
    public override void Assign(RenderContext context, Scope scope, Value value)
    {
        if (!scope.TryGet(name, out var target)) throw UndefinedValue.Name(name).Fault();
        if (target is not NamespaceValue attributes) throw new TemplateFault($"cannot assign attribute '{attribute}' on non-namespace object '{name}'");
        attributes.Set(attribute, value);
    }
}

/// <summary>Several targets, each of which takes one element: <c>key, value</c>.</summary>
sealed class TupleTarget(IReadOnlyList<AssignmentTarget> targets) : AssignmentTarget
{
    public override void Assign(RenderContext context, Scope scope, Value value)
    {
        var elements = context.Elements(value).Take(targets.Count + 1).ToList();
        if (elements.Count < targets.Count) throw new TemplateFault($"not enough values to unpack (expected {targets.Count}, got {elements.Count})");
        if (elements.Count > targets.Count) throw new TemplateFault($"too many values to unpack (expected {targets.Count})");
        for (var i = 0; i < elements.Count; i++) targets[i].Assign(context, scope, elements[i]);
    }
}

using LlamaCluster.Text.Templates.Expressions;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary>
/// <c>for target in iterated if filter</c> with its body, and the <c>else</c> that is rendered if there was nothing; in Jinja2 that means
/// that no round reached its end, be it for <c>break</c> or <c>continue</c>.
/// </summary>
sealed class ForStatement(int line, AssignmentTarget target, Expression iterated, Expression? filter, Body body, Body otherwise) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        var value = iterated.Evaluate(context);
        var scope = context.Scope;
        var elements = context.Elements(value);
        if (filter is not null)
        {
            elements = Filtered(elements, scope, context);
            value = new GeneratorValue(value, elements);
        }
        using var walk = elements.GetEnumerator();
        var loop = new LoopValue(value, walk);
        var (flow, isComplete) = (Flow.Next, false);
        while (flow != Flow.Break && loop.MoveNext())
        {
            flow = RenderRound(loop, new Scope(scope), context);
            isComplete |= flow == Flow.Next;
        }
        return isComplete ? Flow.Next : context.RenderIn(new Scope(scope), otherwise);
    }

    Flow RenderRound(LoopValue loop, Scope round, RenderContext context)
    {
        context.Budget.Spend(1);
        target.Assign(context, round, loop.Current!);
        round.Set("loop", loop);
        return context.RenderIn(round, body);
    }

    /// <summary>The elements that pass, tested one by one as the loop asks for them.</summary>
    IEnumerable<Value> Filtered(IEnumerable<Value> elements, Scope outer, RenderContext context)
    {
        foreach (var element in elements)
        {
            var candidate = new Scope(outer);
            target.Assign(context, candidate, element);
            if (context.EvaluateIn(candidate, filter!).IsTrue) yield return element;
        }
    }
}

using LlamaCluster.Text.Templates.Expressions;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary><c>set target</c> ... <c>endset</c>: the text in between, filtered where a filter is given.</summary>
sealed class SetBlockStatement(int line, AssignmentTarget target, FilterExpression? filter, Body body) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        Value text = context.Capture(new Scope(context.Scope), body);
        target.Assign(context, context.Scope, filter?.ApplyToBlock(text, context) ?? text);
        return Flow.Next;
    }
}

using LlamaCluster.Text.Templates.Expressions;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary><c>filter name</c> ... <c>endfilter</c>.</summary>
sealed class FilterBlockStatement(int line, FilterExpression filter, Body body) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        filter.ApplyToBlock(context.Capture(new Scope(context.Scope), body), context).WriteText(context.Output);
        return Flow.Next;
    }
}

using LlamaCluster.Text.Templates.Expressions;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary><c>{{ value }}</c>.</summary>
sealed class OutputStatement(int line, Expression value) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        value.Evaluate(context).WriteText(context.Output);
        return Flow.Next;
    }
}

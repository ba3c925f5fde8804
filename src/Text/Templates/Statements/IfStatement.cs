using LlamaCluster.Text.Templates.Expressions;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Statements;

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

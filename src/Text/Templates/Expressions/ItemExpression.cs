using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>target[key]</c>.</summary>
sealed class ItemExpression(int line, Expression target, Expression key) : Expression(line)
{
    protected override Value Compute(RenderContext context) => context.Item(target.Evaluate(context), key.Evaluate(context));
}

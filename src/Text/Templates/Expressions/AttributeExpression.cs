using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>target.name</c>.</summary>
sealed class AttributeExpression(int line, Expression target, string name) : Expression(line)
{
    protected override Value Compute(RenderContext context) => context.Attribute(target.Evaluate(context), name);
}

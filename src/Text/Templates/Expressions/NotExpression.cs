using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>not operand</c>.</summary>
sealed class NotExpression(int line, Expression operand) : Expression(line)
{
    protected override Value Compute(RenderContext context) => BooleanValue.Of(!operand.Evaluate(context).IsTrue);
}

using LlamaCluster.Model.Text.Templates.Runtime;
using LlamaCluster.Model.Text.Templates.Values;

namespace LlamaCluster.Model.Text.Templates.Expressions;

/// <summary><c>not operand</c>.</summary>
sealed class NotExpression(int line, Expression operand) : Expression(line)
{
    protected override Value Compute(RenderContext context) => BooleanValue.Of(!operand.Evaluate(context).IsTrue);
}

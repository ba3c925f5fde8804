using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>-operand</c> or <c>+operand</c>.</summary>
sealed class SignExpression(int line, Expression operand, bool isNegative) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var value = operand.Evaluate(context);
        return isNegative ? Arithmetic.Negate(value) : Arithmetic.Affirm(value);
    }
}

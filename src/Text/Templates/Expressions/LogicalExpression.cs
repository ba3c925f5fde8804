using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>left and right</c> or <c>left or right</c>: the operand that decides, not a boolean.</summary>
sealed class LogicalExpression(int line, Expression left, Expression right, bool isAnd) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var first = left.Evaluate(context);
        return first.IsTrue == isAnd ? right.Evaluate(context) : first;
    }
}

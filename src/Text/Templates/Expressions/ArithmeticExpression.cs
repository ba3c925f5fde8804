using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>left operator right</c> with one of + - * / // % **.</summary>
sealed class ArithmeticExpression(int line, string operation, Expression left, Expression right) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var first = left.Evaluate(context);
        return Arithmetic.Apply(operation, first, right.Evaluate(context), context);
    }
}

using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>value if condition else other</c>.</summary>
sealed class ConditionalExpression(int line, Expression condition, Expression value, Expression? other) : Expression(line)
{
    protected override Value Compute(RenderContext context) =>
        condition.Evaluate(context).IsTrue ? value.Evaluate(context)
        : other?.Evaluate(context) ?? new UndefinedValue("the inline if-expression was false and has no else");
}

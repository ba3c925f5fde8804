using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>first operator operand ...</c>; a chain holds if every pair of neighbours does.</summary>
sealed class ComparisonExpression(int line, Expression first, IReadOnlyList<(string Operation, Expression Operand)> rest) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var left = first.Evaluate(context);
        foreach (var (operation, operand) in rest)
        {
            var right = operand.Evaluate(context);
            if (!Holds(operation, left, right, context)) return BooleanValue.False;
            left = right;
        }
        return BooleanValue.True;
    }

    /// <summary>Whether one comparison holds; tests such as <c>is gt 3</c> and <c>select("in", list)</c> share it.</summary>
    public static bool Holds(string operation, Value left, Value right, RenderContext context) => operation switch
    {
        "==" => Comparison.AreEqual(left, right, context.Budget),
        "!=" => !Comparison.AreEqual(left, right, context.Budget),
        "in" => Comparison.Contains(right, left, context),
        "not in" => !Comparison.Contains(right, left, context),
        "<" => Comparison.Compare(left, right, operation, context.Budget) < 0,
        "<=" => Comparison.Compare(left, right, operation, context.Budget) <= 0,
        ">" => Comparison.Compare(left, right, operation, context.Budget) > 0,
        _ => Comparison.Compare(left, right, operation, context.Budget) >= 0,
    };
}

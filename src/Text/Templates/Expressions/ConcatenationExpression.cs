using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>a ~ b ~ c</c>: the operands' texts, one after the other.</summary>
sealed class ConcatenationExpression(int line, IReadOnlyList<Expression> operands) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var text = new BoundedText(context.Budget);
        foreach (var operand in operands) operand.Evaluate(context).WriteText(text);
        return new StringValue(text.ToString());
    }
}

using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>[a, b]</c> or <c>(a, b)</c>.</summary>
sealed class SequenceExpression(int line, IReadOnlyList<Expression> items, bool isTuple) : Expression(line)
{
    public IReadOnlyList<Expression> Items => items;

    public bool IsTuple => isTuple;

    protected override Value Compute(RenderContext context)
    {
        var values = new Value[items.Count];
        for (var i = 0; i < values.Length; i++) values[i] = items[i].Evaluate(context);
        return isTuple ? new TupleValue(values) : new ListValue(values);
    }
}

using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>target[start:stop:step]</c>, each bound optional.</summary>
sealed class SliceExpression(int line, Expression target, Expression? start, Expression? stop, Expression? step) : Expression(line)
{
    protected override Value Compute(RenderContext context)
    {
        var sliced = target.Evaluate(context);
        long? first = Bound(start, context), end = Bound(stop, context), stride = Bound(step, context);
        return sliced.Pick(length => SliceRange.Of(first, end, stride, length), context)
            ?? throw new TemplateFault($"'{sliced.TypeName}' object cannot be sliced");
    }

    static long? Bound(Expression? bound, RenderContext context) => bound?.Evaluate(context) switch
    {
        null or NoneValue => null,
        var value when value.TryGetInteger(out var index) => index,
        _ => throw new TemplateFault("slice indices must be integers or None"),
    };
}

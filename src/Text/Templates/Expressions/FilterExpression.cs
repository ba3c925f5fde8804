using LlamaCluster.Text.Templates.Builtins;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>target | name(arguments)</c>; in a filter block the target is the block's text.</summary>
sealed class FilterExpression(int line, Expression? target, string name, ArgumentList arguments) : Expression(line)
{
    protected override Value Compute(RenderContext context) =>
        Apply((target ?? throw new InvalidOperationException("a block's filter is applied, not evaluated")).Evaluate(context), context);

    /// <summary>Applies it to a block's text, innermost filter first.</summary>
    public Value ApplyToBlock(Value text, RenderContext context) =>
        Apply(target is FilterExpression inner ? inner.ApplyToBlock(text, context) : text, context);

    Value Apply(Value value, RenderContext context)
    {
        if (value is StringValue text) context.Budget.SpendOnText(text.Text.Length);
        return Filters.Get(name)(context, value, arguments.Evaluate(context));
    }
}

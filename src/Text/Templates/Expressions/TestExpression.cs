using LlamaCluster.Text.Templates.Builtins;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>target is name(arguments)</c>.</summary>
sealed class TestExpression(int line, Expression target, string name, ArgumentList arguments) : Expression(line)
{
    protected override Value Compute(RenderContext context) =>
        BooleanValue.Of(Tests.Get(name)(context, target.Evaluate(context), arguments.Evaluate(context)));
}

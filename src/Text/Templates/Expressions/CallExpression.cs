using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary><c>target(arguments)</c>.</summary>
sealed class CallExpression(int line, Expression target, ArgumentList arguments) : Expression(line)
{
    protected override Value Compute(RenderContext context) => target.Evaluate(context).Call(context, arguments.Evaluate(context));

    /// <summary>The call with a further argument <c>caller</c>, as a call block makes it.</summary>
    public Value CallWith(RenderContext context, Value caller)
    {
        var function = target.Evaluate(context);
        var given = arguments.Evaluate(context);
        return function.Call(context, given with { Named = new Dictionary<string, Value>(given.Named) { ["caller"] = caller } });
    }
}

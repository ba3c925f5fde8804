using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary>A part of a template that has a value.</summary>
abstract class Expression(int line)
{
    public int Line { get; } = line;

    public Value Evaluate(RenderContext context)
    {
        context.Enter(Line);
        var value = Compute(context);
        context.Leave();
        return value;
    }

    protected abstract Value Compute(RenderContext context);
}

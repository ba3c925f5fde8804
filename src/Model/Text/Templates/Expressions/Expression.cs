using LlamaCluster.Model.Text.Templates.Runtime;
using LlamaCluster.Model.Text.Templates.Values;

namespace LlamaCluster.Model.Text.Templates.Expressions;

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

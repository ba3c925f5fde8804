using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary>A part of a template that writes text or does something.</summary>
abstract class Statement(int line)
{
    public int Line { get; } = line;

    public Flow Render(RenderContext context)
    {
        context.Enter(Line);
        var flow = Run(context);
        context.Leave();
        return flow;
    }

    protected abstract Flow Run(RenderContext context);
}

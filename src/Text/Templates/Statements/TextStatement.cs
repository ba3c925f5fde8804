using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary>Text outside of tags.</summary>
sealed class TextStatement(int line, string text) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        context.Output.Append(text);
        return Flow.Next;
    }
}

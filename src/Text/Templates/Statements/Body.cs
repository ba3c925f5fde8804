using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary>Statements in order: a template, or what stands between a tag and its end tag.</summary>
sealed class Body(IReadOnlyList<Statement> statements)
{
    public static readonly Body Empty = new([]);

    public Flow Render(RenderContext context)
    {
        foreach (var statement in statements)
            if (statement.Render(context) is var flow && flow != Flow.Next) return flow;
        return Flow.Next;
    }
}

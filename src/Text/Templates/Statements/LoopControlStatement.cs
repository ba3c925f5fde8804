using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary><c>break</c> or <c>continue</c>.</summary>
sealed class LoopControlStatement(int line, Flow flow) : Statement(line)
{
    protected override Flow Run(RenderContext context) => flow;
}

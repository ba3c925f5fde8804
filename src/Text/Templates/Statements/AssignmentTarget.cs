using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary>What <c>set</c> and <c>for</c> assign to.</summary>
abstract class AssignmentTarget
{
    public abstract void Assign(RenderContext context, Scope scope, Value value);
}

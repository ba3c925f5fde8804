using LlamaCluster.Model.Text.Templates.Runtime;
using LlamaCluster.Model.Text.Templates.Values;

namespace LlamaCluster.Model.Text.Templates.Statements;

/// <summary>What <c>set</c> and <c>for</c> assign to.</summary>
abstract class AssignmentTarget
{
    public abstract void Assign(RenderContext context, Scope scope, Value value);
}

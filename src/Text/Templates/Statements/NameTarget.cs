using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary>A name of the innermost scope.</summary>
sealed class NameTarget(string name) : AssignmentTarget
{
    public override void Assign(RenderContext context, Scope scope, Value value) => scope.Set(name, value);
}

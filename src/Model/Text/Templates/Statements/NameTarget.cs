using LlamaCluster.Model.Text.Templates.Runtime;
using LlamaCluster.Model.Text.Templates.Values;

namespace LlamaCluster.Model.Text.Templates.Statements;

/// <summary>A name of the innermost scope.</summary>
sealed class NameTarget(string name) : AssignmentTarget
{
    public override void Assign(RenderContext context, Scope scope, Value value) => scope.Set(name, value);
}

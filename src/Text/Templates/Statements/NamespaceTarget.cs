using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary>An attribute of a namespace, <c>name.attribute</c>.</summary>
sealed class NamespaceTarget(string name, string attribute) : AssignmentTarget
{
    public override void Assign(RenderContext context, Scope scope, Value value)
    {
        if (!scope.TryGet(name, out var target)) throw UndefinedValue.Name(name).Fault();
        if (target is not NamespaceValue attributes) throw new TemplateFault($"cannot assign attribute '{attribute}' on non-namespace object '{name}'");
        attributes.Set(attribute, value);
    }
}

using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary>Several targets, each of which takes one element: <c>key, value</c>.</summary>
sealed class TupleTarget(IReadOnlyList<AssignmentTarget> targets) : AssignmentTarget
{
    public override void Assign(RenderContext context, Scope scope, Value value)
    {
        var elements = context.Elements(value).Take(targets.Count + 1).ToList();
        if (elements.Count < targets.Count) throw new TemplateFault($"not enough values to unpack (expected {targets.Count}, got {elements.Count})");
        if (elements.Count > targets.Count) throw new TemplateFault($"too many values to unpack (expected {targets.Count})");
        for (var i = 0; i < elements.Count; i++) targets[i].Assign(context, scope, elements[i]);
    }
}

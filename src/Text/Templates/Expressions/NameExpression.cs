using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Expressions;

/// <summary>A variable.</summary>
sealed class NameExpression(int line, string name) : Expression(line)
{
    public string Name => name;

    protected override Value Compute(RenderContext context) => context.Scope.TryGet(name, out var value) ? value : UndefinedValue.Name(name);
}

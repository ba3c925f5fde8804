using LlamaCluster.Text.Templates.Expressions;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary><c>with name = value, ...</c> and, without names, <c>generation</c> (transformers' mark of the assistant's words): a scope.</summary>
sealed class WithStatement(int line, IReadOnlyList<(AssignmentTarget Target, Expression Value)> names, Body body) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        var scope = new Scope(context.Scope);
        foreach (var (target, value) in names) target.Assign(context, scope, value.Evaluate(context));
        return context.RenderIn(scope, body);
    }
}

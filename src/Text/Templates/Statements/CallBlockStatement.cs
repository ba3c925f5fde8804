using LlamaCluster.Text.Templates.Expressions;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Statements;

/// <summary><c>call(parameters) macro(arguments)</c> ... <c>endcall</c>: the macro gets the body as <c>caller</c>.</summary>
sealed class CallBlockStatement(int line, CallExpression call, MacroDefinition caller) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        call.CallWith(context, new MacroValue(caller, context.Scope)).WriteText(context.Output);
        return Flow.Next;
    }
}

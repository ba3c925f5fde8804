using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Statements;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>A macro, or the body of a call block (<c>caller</c>), with the names it was defined among.</summary>
sealed class MacroValue(MacroDefinition definition, Scope definedIn) : Value
{
    public override string TypeName => "Macro";

    public override bool IsCallable => true;

    public override Value? GetAttribute(string name) => name switch
    {
        "name" => new StringValue(definition.Name),
        "arguments" => new TupleValue([.. definition.Parameters.Select(parameter => new StringValue(parameter.Name))]),
        _ => null,
    };

    public override Value Call(RenderContext context, CallArguments arguments)
    {
        context.Enter(definition.Line);
        var scope = new Scope(definedIn);
        definition.Bind(context, scope, arguments);
        var text = context.Capture(scope, definition.Body);
        context.Leave();
        return text;
    }

    public override void WriteRepr(BoundedText output) => output.Append("<Macro ").Append(definition.Name).Append('>');
}

using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>A function of the language, or a method bound to its value.</summary>
sealed class FunctionValue(string name, Func<RenderContext, CallArguments, Value> body) : Value
{
    public string Name { get; } = name;

    public override string TypeName => "function";

    public override bool IsCallable => true;

    public override Value Call(RenderContext context, CallArguments arguments) => body(context, arguments);

    public override void WriteRepr(BoundedText output) => output.Append("<function ").Append(Name).Append('>');
}

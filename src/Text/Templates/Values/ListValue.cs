using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>A list. It never changes: the sandbox that templates are written for refuses <c>append</c> and its like.</summary>
sealed class ListValue(Value[] items) : SequenceValue(items)
{
    public override string TypeName => "list";

    public override SequenceValue With(Value[] items) => new ListValue(items);

    public override void WriteRepr(BoundedText output)
    {
        output.Append('[');
        WriteItems(output);
        output.Append(']');
    }
}

using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>What <c>groupby</c> gives for each group: its key and its elements, as a pair or by name.</summary>
sealed class GroupValue(Value grouper, ListValue list) : SequenceValue([grouper, list])
{
    public override string TypeName => "tuple";

    public override SequenceValue With(Value[] items) => new TupleValue(items);

    public override Value? GetAttribute(string name) => name switch
    {
        "grouper" => Items[0],
        "list" => Items[1],
        _ => base.GetAttribute(name),
    };

    public override void WriteRepr(BoundedText output)
    {
        output.Append('(');
        WriteItems(output);
        output.Append(')');
    }
}

using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

sealed class TupleValue(params Value[] items) : SequenceValue(items)
{
    public override string TypeName => "tuple";

    public override SequenceValue With(Value[] items) => new TupleValue(items);

    public override void WriteRepr(BoundedText output)
    {
        output.Append('(');
        WriteItems(output);
        output.Append(Items.Length == 1 ? ",)" : ")");
    }
}

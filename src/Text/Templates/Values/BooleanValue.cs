using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

sealed class BooleanValue : Value
{
    public static readonly BooleanValue True = new(), False = new();

    public static BooleanValue Of(bool value) => value ? True : False;

    public override string TypeName => "bool";

    public override bool IsTrue => this == True;

    public override void WriteRepr(BoundedText output) => output.Append(IsTrue ? "True" : "False");

    public override bool TryGetInteger(out long integer)
    {
        integer = IsTrue ? 1 : 0;
        return true;
    }
}

using System.Globalization;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>An integer of 64 bits; Python's have no limit, and what would not fit here is a fault.</summary>
sealed class IntegerValue(long integer) : Value
{
    public long Integer { get; } = integer;

    public override string TypeName => "int";

    public override bool IsTrue => Integer != 0;

    public override void WriteRepr(BoundedText output) => output.Append(Integer.ToString(CultureInfo.InvariantCulture));

    public override bool TryGetInteger(out long integer)
    {
        integer = Integer;
        return true;
    }
}

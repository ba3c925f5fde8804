using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>What <c>namespace()</c> gives: attributes that can be set from within a loop and last beyond it.</summary>
sealed class NamespaceValue(Dictionary<string, Value> attributes) : Value
{
    public override string TypeName => "Namespace";

    public override Value? GetAttribute(string name) => attributes.GetValueOrDefault(name);

    public void Set(string name, Value value) => attributes[name] = value;

    // Its attributes are left out: it may hold itself.
    public override void WriteRepr(BoundedText output) => output.Append("<Namespace>");
}

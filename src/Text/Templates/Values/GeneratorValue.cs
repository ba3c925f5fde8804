using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>
/// What <c>select</c>, <c>map</c> and other filters give: elements made when asked for, once; a second walk goes on where the first
/// stopped. It counts as true even if nothing is left.
/// </summary>
/// <param name="source">What the elements come from: generators upon generators have a bound too.</param>
/// <param name="elements">The elements, walked once.</param>
sealed class GeneratorValue(Value source, IEnumerable<Value> elements) : Value
{
    readonly IEnumerator<Value> _elements = elements.GetEnumerator();

    public override int Depth { get; } = Nesting.Around([source]);

    public override string TypeName => "generator";

    public override IEnumerable<Value> Iterate()
    {
        while (_elements.MoveNext()) yield return _elements.Current;
    }

    public override void WriteRepr(BoundedText output) => output.Append("<generator object>");
}

using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Values;

/// <summary>
/// The <c>loop</c> of a for statement. It reads its elements one by one and looks ahead only when <c>last</c>, <c>nextitem</c> or the
/// length of something without a length is asked for, since elements may be made as the loop goes.
/// </summary>
sealed class LoopValue(Value iterated, IEnumerator<Value> elements) : Value
{
    readonly Queue<Value> _ahead = new();
    Value? _previous;
    Value? _changed;
    int _index = -1;
    int? _length = iterated.Count;

    public Value? Current { get; private set; }

    public override string TypeName => "LoopContext";

    public override int? Count => Length;

    int Length => _length ??= ReadRest() + _index + 1;

    /// <summary>Goes on to the next element.</summary>
    public bool MoveNext()
    {
        if (!LookAhead()) return false;
        (_previous, Current) = (Current, _ahead.Dequeue());
        _index++;
        return true;
    }

    public override Value? GetAttribute(string name) => name switch
    {
        "index" => new IntegerValue(_index + 1),
        "index0" => new IntegerValue(_index),
        "revindex" => new IntegerValue(Length - _index),
        "revindex0" => new IntegerValue(Length - _index - 1),
        "first" => BooleanValue.Of(_index == 0),
        "last" => BooleanValue.Of(!LookAhead()),
        "length" => new IntegerValue(Length),
        "depth" => new IntegerValue(1), // only recursive loops, which are refused, go deeper
        "depth0" => new IntegerValue(0),
        "previtem" => _previous ?? new UndefinedValue("there is no previous item"),
        "nextitem" => LookAhead() ? _ahead.Peek() : new UndefinedValue("there is no next item"),
        "cycle" => new FunctionValue(name, (_, arguments) => Cycle(arguments)),
        "changed" => new FunctionValue(name, Changed),
        _ => null,
    };

    public override void WriteRepr(BoundedText output) => output.Append($"<LoopContext {_index + 1}/{Length}>");

    Value Cycle(CallArguments arguments) => arguments.Positional.Count > 0 ? arguments.Positional[_index % arguments.Positional.Count]
        : throw new TemplateFault("no items for cycling given");

    Value Changed(RenderContext context, CallArguments arguments)
    {
        var now = new TupleValue([.. arguments.Positional]);
        var changed = _changed is null || !Comparison.AreEqual(_changed, now, context.Budget);
        _changed = now;
        return BooleanValue.Of(changed);
    }

    bool LookAhead()
    {
        if (_ahead.Count > 0) return true;
        if (!elements.MoveNext()) return false;
        _ahead.Enqueue(elements.Current);
        return true;
    }

    int ReadRest()
    {
        while (elements.MoveNext()) _ahead.Enqueue(elements.Current);
        return _ahead.Count;
    }
}

using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;
using LlamaCluster.Text.Templates.Values;

namespace LlamaCluster.Text.Templates.Nodes;

/// <summary>
/// <c>for target in iterated if filter</c> with its body and its <c>else</c>. As in Jinja2, the <c>else</c> is rendered if no round reached
/// its end: because there were no elements, or because every round ended with <c>break</c> or <c>continue</c>.
/// </summary>
sealed class ForStatement(int line, AssignmentTarget target, Expression iterated, Expression? filter, Body body, Body otherwise) : Statement(line)
{
    protected override Flow Run(RenderContext context)
    {
        var value = iterated.Evaluate(context);
        var scope = context.Scope;
        var elements = context.Elements(value);
        if (filter is not null)
        {
            elements = Filtered(elements, scope, context);
            value = new GeneratorValue(value, elements);
        }
        using var walk = elements.GetEnumerator();
        var loop = new LoopValue(value, walk);
        var (flow, isComplete) = (Flow.Next, false);
        while (flow != Flow.Break && loop.MoveNext())
        {
            flow = RenderRound(loop, new Scope(scope), context);
            isComplete |= flow == Flow.Next;
        }
        return isComplete ? Flow.Next : context.RenderIn(new Scope(scope), otherwise);
    }

    Flow RenderRound(LoopValue loop, Scope round, RenderContext context)
    {
        context.Budget.Spend(1);
        target.Assign(context, round, loop.Current!);
        round.Set("loop", loop);
        return context.RenderIn(round, body);
    }

    /// <summary>The elements that pass the filter. Each is tested when the loop asks for it.</summary>
    IEnumerable<Value> Filtered(IEnumerable<Value> elements, Scope outer, RenderContext context)
    {
        foreach (var element in elements)
        {
            var candidate = new Scope(outer);
            target.Assign(context, candidate, element);
            if (context.EvaluateIn(candidate, filter!).IsTrue) yield return element;
        }
    }
}

/// <summary><c>break</c> or <c>continue</c>.</summary>
sealed class LoopControlStatement(int line, Flow flow) : Statement(line)
{
    protected override Flow Run(RenderContext context) => flow;
}

/// <summary>
/// The <c>loop</c> variable of a for statement. It reads its elements one by one, since they may be made while the loop runs. It looks
/// ahead only for <c>last</c>, <c>nextitem</c>, or the length of something that has no length of its own.
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

    Value Changed(ValueContext context, CallArguments arguments)
    {
        context.Budget.MakeElements(arguments.Positional.Count);
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

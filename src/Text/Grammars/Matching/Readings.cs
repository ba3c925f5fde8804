using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Rules;

namespace LlamaCluster.Text.Grammars.Matching;

/// <summary>
/// Where a rule was begun, and what comes when it has ended. The stack, shared by all readings (J. Earley, https://doi.org/10.1145/362007.362035).
/// </summary>
/// <param name="moment">When it was begun: a rule that ends in the moment in which it began was empty.</param>
sealed class Call(int rule, long moment)
{
    HashSet<(int Node, Call Caller)>? _known;   // where there are many returns

    public int Rule => rule;

    public long Moment => moment;

    /// <summary>Nodes behind the rule, and the call that they belong to; each once.</summary>
    public List<(int Node, Call Caller)> Returns { get; } = [];

    /// <summary>A further place to return to. Only in the moment in which the rule was begun.</summary>
    public void ReturnTo(int node, Call caller)
    {
        const int few = 8;
        if (Returns.Count < few ? Returns.Contains((node, caller)) : !(_known ??= [.. Returns]).Add((node, caller))) return;
        Returns.Add((node, caller));
    }

    /// <summary>The moment is over.</summary>
    public void Close() => _known = null;
}

/// <summary>One way to read the answer so far: within a lexeme, of a step of a rule, of a call.</summary>
/// <param name="Target">The node behind the lexeme.</param>
readonly record struct Reading(int Lexeme, int State, int Target, Call Call);

/// <summary>
/// All ways to read an answer so far, and what may follow. Immutable: an answer that is taken back goes on from an earlier one.
/// </summary>
/// <param name="MayEnd">The answer may end here.</param>
sealed record Readings(Reading[] Open, bool MayEnd)
{
    public static Readings None { get; } = new([], false);

    public bool IsDead => Open.Length == 0 && !MayEnd;
}

/// <summary>Goes from readings to readings (Earley's algorithm over rules whose steps are lexemes). One caller at a time.</summary>
/// <param name="most">Ways to read the answer; with more it is refused as too ambiguous.</param>
sealed class ReadingSteps(RuleSet rules, int most = GrammarLimits.Readings)
{
    readonly List<Reading> _next = [];
    readonly List<Reading> _last = [];
    readonly HashSet<(int Node, Call Call)> _met = [];
    readonly HashSet<Reading> _going = [];
    readonly Stack<(int Node, Call Call)> _open = [];
    readonly Call?[] _begun = new Call?[rules.Starts.Length];
    readonly List<Call> _begunNow = [];
    readonly List<(int Node, Call Caller)> _returns = [];
    long _moment;
    bool _mayEnd;

    public Lexeme LexemeOf(in Reading reading) => rules.Lexemes[reading.Lexeme];

    /// <summary>The start of an answer.</summary>
    public Readings Begin()
    {
        NewMoment();
        _next.Clear();
        Enter(rules.Starts[rules.Root], new Call(rules.Root, _moment), _next);
        // The root's call is of this moment, so an empty answer is found here.
        return new Readings([.. _next], rules.Nullable[rules.Root]);
    }

    /// <summary>The readings after some more bytes; dead where the grammar does not allow them.</summary>
    /// <exception cref="GrammarException">There are too many readings.</exception>
    public Readings Advance(Readings from, ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty) return Readings.None;
        _next.Clear();
        _next.AddRange(from.Open);
        foreach (var value in bytes)
        {
            _last.Clear();
            _last.AddRange(_next);
            _next.Clear();
            Step(value);
            if (_next.Count == 0 && !_mayEnd) return Readings.None;
        }
        return new Readings([.. _next], _mayEnd);
    }

    /// <summary>The readings right behind a lexeme, added to a list.</summary>
    public void Behind(in Reading reading, List<Reading> found)
    {
        NewMoment();
        Enter(reading.Target, reading.Call, found);
    }

    void Step(byte value)
    {
        NewMoment();
        if (_last.Count > 1) _going.Clear();
        foreach (var reading in _last)
        {
            var lexeme = rules.Lexemes[reading.Lexeme];
            var state = lexeme.Next(reading.State, value);
            if (state < 0) continue;
            if (lexeme.GoesOn(state) && reading with { State = state } is var going && (_last.Count == 1 || _going.Add(going))) _next.Add(going);
            if (lexeme.IsFinal(state)) Enter(reading.Target, reading.Call, _next);
        }
    }

    void NewMoment()
    {
        foreach (var call in _begunNow)
        {
            call.Close();
            Shorten(call);
        }
        _begunNow.Clear();
        _moment++;
        _mayEnd = false;
        _met.Clear();
    }

    /// <summary>Goes to a node, and on to all that can be reached without reading.</summary>
    void Enter(int node, Call call, List<Reading> found)
    {
        _open.Push((node, call));
        while (_open.TryPop(out var place))
        {
            if (!_met.Add(place)) continue;
            if (_met.Count > most) throw GrammarException.Limit("the grammar is too ambiguous: there are too many ways to read the answer", most);
            (node, call) = place;
            if (rules.Ends[call.Rule] == node) Return(call);
            foreach (var step in rules.Steps[node])
                switch (step.Kind)
                {
                    case StepKind.Empty: _open.Push((step.Target, call)); break;
                    case StepKind.Lexeme: found.Add(new Reading(step.Index, rules.Lexemes[step.Index].Start, step.Target, call)); break;
                    case StepKind.Rule: Begin(step, call); break;
                }
        }
    }

    void Begin(RuleStep step, Call caller)
    {
        var isNew = _begun[step.Index] is not { } begun || begun.Moment != _moment;
        var call = isNew ? _begun[step.Index] = new Call(step.Index, _moment) : _begun[step.Index]!;
        call.ReturnTo(step.Target, caller);
        if (rules.Nullable[step.Index]) _open.Push((step.Target, caller));
        if (!isNew) return;
        _begunNow.Add(call);
        _open.Push((rules.Starts[step.Index], call));
    }

    /// <summary>
    /// A return to where only the end of the caller follows becomes the caller's own returns. So the stack of a repetition that is written as recursion
    /// does not grow.
    /// </summary>
    void Shorten(Call call)
    {
        var isNeeded = false;
        foreach (var (node, caller) in call.Returns) isNeeded |= rules.ReachesEnd[node] && caller.Returns.Count > 0;
        if (!isNeeded) return;
        _met.Clear();
        _returns.Clear();
        foreach (var back in call.Returns) _open.Push(back);
        while (_open.TryPop(out var back))
        {
            if (!_met.Add(back)) continue;
            if (rules.ReachesEnd[back.Node] && back.Call.Returns.Count > 0)
                foreach (var next in back.Call.Returns) _open.Push(next);
            else _returns.Add(back);
        }
        // A circle of calls that lead nowhere else stays as it is.
        if (_returns.Count == 0) return;
        call.Returns.Clear();
        call.Returns.AddRange(_returns);
    }

    void Return(Call call)
    {
        if (call.Rule == rules.Root && call.Returns.Count == 0) _mayEnd = true;
        // What was begun in this moment was empty: whoever began it has gone on already.
        if (call.Moment == _moment) return;
        foreach (var (node, caller) in call.Returns) _open.Push((node, caller));
    }
}

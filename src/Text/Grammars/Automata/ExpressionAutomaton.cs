using System.Runtime.InteropServices;

namespace LlamaCluster.Text.Grammars.Automata;

/// <summary>
/// A nondeterministic automaton over code points (K. Thompson, https://doi.org/10.1145/363347.363387), which is built part by part and then made
/// deterministic.
/// </summary>
sealed class ExpressionAutomaton(WorkBudget budget)
{
    readonly List<List<int>> _empty = [];
    readonly List<(CodePoints Characters, int Target)?> _reads = [];

    /// <summary>A part of the expression is looked at: also one that adds no state, of which a bound can ask for millions.</summary>
    public void Visit() => budget.Spend(50);

    public int Add()
    {
        if (_empty.Count == GrammarLimits.ExpressionStates) throw GrammarException.Limit("an expression is too large", GrammarLimits.ExpressionStates);
        budget.Spend(100);
        _empty.Add([]);
        _reads.Add(null);
        return _empty.Count - 1;
    }

    /// <summary>From one state to the other without reading.</summary>
    public void Join(int from, int to) => _empty[from].Add(to);

    /// <summary>A state reads one character, of any of these, and goes on to another. It must not read already.</summary>
    public void Read(int from, CodePoints characters, int to) => _reads[from] = (characters, to);

    /// <exception cref="GrammarException">It would have too many states.</exception>
    public CharacterAutomaton ToDeterministic(int start, int final)
    {
        budget.Spend(5_000);
        var sets = new List<CodePoints>();
        var numbers = new Dictionary<CodePoints, int>(ReferenceEqualityComparer.Instance);
        foreach (var read in _reads)
            if (read is { } found && numbers.TryAdd(found.Characters, sets.Count)) sets.Add(found.Characters);
        var classes = CodePointClasses.Of(sets, budget, out var members);

        var known = new Dictionary<StateSet, int>();
        var open = new Queue<int[]>();
        var (rows, finals) = (new List<int[]>(), new List<bool>());
        var (marks, mark) = (new int[_empty.Count], 0);
        int Number(List<int> targets)
        {
            var closed = Closure(targets, marks, ++mark);
            if (known.TryGetValue(new StateSet(closed), out var number)) return number;
            if (known.Count == GrammarLimits.States) throw GrammarException.Limit("an expression needs too many states", GrammarLimits.States);
            known.Add(new StateSet(closed), known.Count);
            open.Enqueue(closed);
            return known.Count - 1;
        }
        Number([start]);
        var byClass = Enumerable.Range(0, classes.Count).Select(_ => new List<int>()).ToArray();
        while (open.TryDequeue(out var states))
        {
            foreach (var list in byClass) list.Clear();
            foreach (var state in states)
            {
                if (_reads[state] is not { } read) continue;
                var ofSet = members[numbers[read.Characters]];
                budget.Spend(20 + (ofSet.Length * 5L));
                foreach (var c in ofSet) byClass[c].Add(read.Target);
            }
            budget.Spend(200 + (byClass.Length * 50L));
            rows.Add([.. byClass.Select(targets => targets.Count == 0 ? -1 : Number(targets))]);
            finals.Add(Array.BinarySearch(states, final) >= 0);
        }
        return CharacterAutomaton.Of(classes, rows, finals);
    }

    int[] Closure(List<int> states, int[] marks, int mark)
    {
        var closed = new List<int>();
        var open = new Stack<int>(states);
        while (open.TryPop(out var state))
        {
            budget.Spend(10);
            if (marks[state] == mark) continue;
            marks[state] = mark;
            closed.Add(state);
            foreach (var next in _empty[state]) open.Push(next);
        }
        budget.Spend(100 + (closed.Count * (10L + (5 * int.Log2(closed.Count | 1)))));
        closed.Sort();
        return [.. closed];
    }

    /// <summary>Compares sets of states by content.</summary>
    readonly struct StateSet(int[] states) : IEquatable<StateSet>
    {
        readonly int[] _states = states;

        public bool Equals(StateSet other) => _states.AsSpan().SequenceEqual(other._states);

        public override bool Equals(object? obj) => obj is StateSet other && Equals(other);

        public override int GetHashCode()
        {
            var hash = new HashCode();
            hash.AddBytes(MemoryMarshal.AsBytes(_states.AsSpan()));
            return hash.ToHashCode();
        }
    }
}

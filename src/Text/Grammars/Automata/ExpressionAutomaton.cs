using System.Runtime.InteropServices;

namespace LlamaCluster.Text.Grammars.Automata;

/// <summary>
/// A nondeterministic automaton over code points (K. Thompson, https://doi.org/10.1145/363347.363387), which is built part by part and then made
/// deterministic.
/// </summary>
sealed class ExpressionAutomaton(WorkBudget budget)
{
    const int None = -1;

    readonly List<State> _states = [];

    /// <summary>Where a state leads without reading, and the next of its joins.</summary>
    readonly List<(int Target, int Next)> _joins = [];

    /// <summary>A part of the expression is looked at: also one that adds no state, of which a bound can ask for millions.</summary>
    public void Visit() => budget.Spend(50);

    public int Add()
    {
        if (_states.Count == GrammarLimits.ExpressionStates) throw GrammarException.Limit("an expression is too large", GrammarLimits.ExpressionStates);
        budget.Spend(100);
        budget.Allocate(60);
        _states.Add(new State(null, None, None));
        return _states.Count - 1;
    }

    /// <summary>From one state to the other without reading.</summary>
    public void Join(int from, int to)
    {
        budget.Spend(20);
        budget.Allocate(20);
        _joins.Add((to, _states[from].FirstJoin));
        _states[from] = _states[from] with { FirstJoin = _joins.Count - 1 };
    }

    /// <summary>A state reads one character, of any of these, and goes on to another. It must not read already.</summary>
    public void Read(int from, CodePoints characters, int to) => _states[from] = _states[from] with { Reads = characters, Target = to };

    /// <exception cref="GrammarException">It would have too many states.</exception>
    public CharacterAutomaton ToDeterministic(int start, int final)
    {
        budget.Spend(5_000 + (_states.Count * 30L));
        budget.Allocate(2_000 + (_states.Count * 12L));
        var classes = Divide(out var read);
        var sets = new StateSets(this, final);
        var (next, finals) = (new List<int>(), new List<bool>());
        var byClass = Enumerable.Range(0, classes.Count).Select(_ => new List<int>()).ToArray();
        sets.NumberOf([start]);
        for (var number = 0; number < sets.Count; number++)
        {
            foreach (var list in byClass) list.Clear();
            finals.Add(false);
            foreach (var state in sets[number])
            {
                if (state == final) finals[^1] = true;
                if (_states[state].Reads is null) continue;
                budget.Spend(20 + (read[state].Length * 5L));
                foreach (var c in read[state]) byClass[c].Add(_states[state].Target);
            }
            budget.Spend(200 + (byClass.Length * 15L));
            budget.Allocate(CharacterAutomaton.StateBytes(byClass.Length));
            List<int>? before = null;
            foreach (var targets in byClass)
            {
                // Neighbours often lead to the same states.
                var isSame = before is not null && CollectionsMarshal.AsSpan(before).SequenceEqual(CollectionsMarshal.AsSpan(targets));
                next.Add(isSame ? next[^1] : targets.Count == 0 ? None : sets.NumberOf(targets));
                before = targets;
            }
        }
        return CharacterAutomaton.Of(classes, [.. next], [.. finals], budget);
    }

    /// <param name="read">Gets, for each state that reads, the classes of what it reads.</param>
    CodePointClasses Divide(out int[][] read)
    {
        var sets = new List<CodePoints>();
        var numbers = new Dictionary<CodePoints, int>();
        foreach (var state in _states)
            if (state.Reads is { } characters && numbers.TryAdd(characters, sets.Count)) sets.Add(characters);
        budget.Allocate(sets.Count * 60L);
        var classes = CodePointClasses.Of(sets, budget, out var members);
        read = [.. _states.Select(state => state.Reads is { } characters ? members[numbers[characters]] : [])];
        return classes;
    }

    /// <param name="Reads">Null: the state reads nothing.</param>
    /// <param name="Target">Where it goes on then.</param>
    readonly record struct State(CodePoints? Reads, int Target, int FirstJoin);

    /// <summary>
    /// The sets of states in which the automaton can be at a time, by content, numbered in the order in which they are met. Of a set there are only the states
    /// that read and the final one: the others are only on the way to those.
    /// </summary>
    sealed class StateSets(ExpressionAutomaton automaton, int final)
    {
        readonly Dictionary<int[], int> _numbers = new(new ByContent());
        readonly List<int[]> _sets = [];
        readonly int[] _marks = new int[automaton._states.Count];
        readonly List<int> _closed = [];
        readonly Stack<int> _open = [];
        int _mark;

        public int Count => _sets.Count;

        public int[] this[int number] => _sets[number];

        /// <summary>The number of the states that can be reached from these without reading.</summary>
        public int NumberOf(List<int> states)
        {
            Close(states);
            var found = CollectionsMarshal.AsSpan(_closed);
            if (_numbers.GetAlternateLookup<ReadOnlySpan<int>>().TryGetValue(found, out var number)) return number;
            if (_sets.Count == GrammarLimits.States) throw GrammarException.Limit("an expression needs too many states", GrammarLimits.States);
            Budget.Allocate(80 + (_closed.Count * (long)sizeof(int)));
            _sets.Add(found.ToArray());
            _numbers.Add(_sets[^1], _sets.Count - 1);
            return _sets.Count - 1;
        }

        WorkBudget Budget => automaton.Budget;

        void Close(List<int> states)
        {
            _mark++;
            _closed.Clear();
            foreach (var state in states) _open.Push(state);
            while (_open.TryPop(out var number))
            {
                Budget.Spend(10);
                if (_marks[number] == _mark) continue;
                _marks[number] = _mark;
                var state = automaton._states[number];
                if (state.Reads is not null || number == final) _closed.Add(number);
                for (var join = state.FirstJoin; join >= 0; join = automaton._joins[join].Next) _open.Push(automaton._joins[join].Target);
            }
            Budget.Spend(100 + (_closed.Count * (10L + (5 * int.Log2(_closed.Count | 1)))));
            _closed.Sort();
        }
    }

    WorkBudget Budget => budget;

    sealed class ByContent : IEqualityComparer<int[]>, IAlternateEqualityComparer<ReadOnlySpan<int>, int[]>
    {
        public bool Equals(int[]? one, int[]? other) => one.AsSpan().SequenceEqual(other);

        public int GetHashCode(int[] states) => GetHashCode(states.AsSpan());

        public bool Equals(ReadOnlySpan<int> states, int[] other) => states.SequenceEqual(other);

        public int GetHashCode(ReadOnlySpan<int> states)
        {
            var hash = new HashCode();
            hash.AddBytes(MemoryMarshal.AsBytes(states));
            return hash.ToHashCode();
        }

        public int[] Create(ReadOnlySpan<int> states) => states.ToArray();
    }
}

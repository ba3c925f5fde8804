using System.Text;

namespace LlamaCluster.Text.Grammars.Automata;

/// <summary>
/// A deterministic automaton over code points. State 0 is the start, -1 is where nothing leads on from. From every state a final one can be reached,
/// except where nothing is accepted at all. Immutable.
/// </summary>
sealed class CharacterAutomaton
{
    readonly int[] _next;
    readonly bool[] _finals;

    CharacterAutomaton(CodePointClasses classes, int[] next, bool[] finals) => (Classes, _next, _finals) = (classes, next, finals);

    public CodePointClasses Classes { get; }

    public int StateCount => _finals.Length;

    /// <summary>It accepts no text at all.</summary>
    public bool IsEmpty => !_finals.Contains(true);

    public int Next(int state, int characterClass) => _next[(state * Classes.Count) + characterClass];

    public bool IsFinal(int state) => _finals[state];

    public bool Accepts(string text)
    {
        var state = 0;
        foreach (var rune in text.EnumerateRunes())
            if ((state = Next(state, Classes.ClassOf(rune.Value))) < 0) return false;
        return _finals[state];
    }

    /// <param name="rows">For each state the next state by class.</param>
    public static CharacterAutomaton Of(CodePointClasses classes, IReadOnlyList<int[]> rows, IReadOnlyList<bool> finals)
    {
        var next = new int[rows.Count * classes.Count];
        for (var state = 0; state < rows.Count; state++) rows[state].CopyTo(next, state * classes.Count);
        return Trim(classes, next, [.. finals]);
    }

    public CharacterAutomaton And(CharacterAutomaton other, WorkBudget budget) => Combine(other, (left, right) => left && right, budget);

    public CharacterAutomaton Or(CharacterAutomaton other, WorkBudget budget) => Combine(other, (left, right) => left || right, budget);

    /// <summary>Texts of this one that the other does not accept.</summary>
    public CharacterAutomaton Except(CharacterAutomaton other, WorkBudget budget) => Combine(other, (left, right) => left && !right, budget);

    CharacterAutomaton Combine(CharacterAutomaton other, Func<bool, bool, bool> isFinal, WorkBudget budget)
    {
        var classes = CodePointClasses.Of(Classes, other.Classes, out var pairs);
        budget.Spend(classes.Intervals * 100L);
        var known = new Dictionary<(int Left, int Right), int> { [(0, 0)] = 0 };
        var open = new Queue<(int Left, int Right)>([(0, 0)]);
        var (rows, finals) = (new List<int[]>(), new List<bool>());
        while (open.TryDequeue(out var state))
        {
            budget.Spend(100 + (pairs.Length * 50L));
            finals.Add(isFinal(state.Left >= 0 && _finals[state.Left], state.Right >= 0 && other._finals[state.Right]));
            var row = new int[pairs.Length];
            for (var i = 0; i < row.Length; i++)
            {
                var next = (Left: state.Left < 0 ? -1 : Next(state.Left, pairs[i].Left), Right: state.Right < 0 ? -1 : other.Next(state.Right, pairs[i].Right));
                if (!known.TryGetValue(next, out row[i]))
                {
                    if (known.Count == GrammarLimits.States) throw GrammarException.Limit("an expression needs too many states", GrammarLimits.States);
                    known.Add(next, row[i] = known.Count);
                    open.Enqueue(next);
                }
            }
            rows.Add(row);
        }
        return Of(classes, rows, finals);
    }

    /// <summary>Takes out states from which no final one can be reached, and numbers the others in the order in which they are met.</summary>
    static CharacterAutomaton Trim(CodePointClasses classes, int[] next, bool[] finals)
    {
        var alive = Alive(next, finals, classes.Count);
        var numbers = Enumerable.Repeat(-1, finals.Length).ToArray();
        var order = new List<int> { 0 };
        numbers[0] = 0;
        for (var i = 0; i < order.Count; i++)
            for (var c = 0; c < classes.Count; c++)
                if (next[(order[i] * classes.Count) + c] is >= 0 and var target && alive[target] && numbers[target] < 0)
                {
                    numbers[target] = order.Count;
                    order.Add(target);
                }
        var trimmed = new int[order.Count * classes.Count];
        for (var i = 0; i < order.Count; i++)
            for (var c = 0; c < classes.Count; c++)
                trimmed[(i * classes.Count) + c] = next[(order[i] * classes.Count) + c] is >= 0 and var target ? numbers[target] : -1;
        return new(classes, trimmed, [.. order.Select(state => finals[state])]);
    }

    /// <summary>Which states lead to a final one.</summary>
    static bool[] Alive(int[] next, bool[] finals, int classes)
    {
        var before = new List<int>[finals.Length];
        for (var i = 0; i < next.Length; i++)
            if (next[i] >= 0) (before[next[i]] ??= []).Add(i / classes);
        var alive = (bool[])finals.Clone();
        var open = new Stack<int>(Enumerable.Range(0, finals.Length).Where(state => finals[state]));
        while (open.TryPop(out var state))
            foreach (var source in before[state] ?? [])
                if (!alive[source])
                {
                    alive[source] = true;
                    open.Push(source);
                }
        return alive;
    }
}

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

    /// <param name="next">For each state, one after the other, the next state by class.</param>
    public static CharacterAutomaton Of(CodePointClasses classes, int[] next, bool[] finals, WorkBudget budget)
    {
        budget.Spend(next.Length * 5L);
        budget.Allocate((next.Length * 8L) + (finals.Length * 8L));
        return Trim(classes, next, finals);
    }

    public CharacterAutomaton And(CharacterAutomaton other, WorkBudget budget) => Combine(other, (left, right) => left && right, budget);

    public CharacterAutomaton Or(CharacterAutomaton other, WorkBudget budget) => Combine(other, (left, right) => left || right, budget);

    /// <summary>Texts of this one that the other does not accept.</summary>
    public CharacterAutomaton Except(CharacterAutomaton other, WorkBudget budget) => Combine(other, (left, right) => left && !right, budget);

    CharacterAutomaton Combine(CharacterAutomaton other, Func<bool, bool, bool> isFinal, WorkBudget budget)
    {
        var classes = CodePointClasses.Of(Classes, other.Classes, out var pairs);
        budget.Spend(classes.Intervals * 100L);
        budget.Allocate(classes.Intervals * 40L);
        var known = new Dictionary<(int Left, int Right), int> { [(0, 0)] = 0 };
        var order = new List<(int Left, int Right)> { (0, 0) };
        var (table, finals) = (new List<int>(), new List<bool>());
        for (var i = 0; i < order.Count; i++)
        {
            var state = order[i];
            budget.Spend(100 + (pairs.Length * 50L));
            budget.Allocate(StateBytes(pairs.Length));
            finals.Add(isFinal(state.Left >= 0 && _finals[state.Left], state.Right >= 0 && other._finals[state.Right]));
            foreach (var (left, right) in pairs)
            {
                var next = (Left: state.Left < 0 ? -1 : Next(state.Left, left), Right: state.Right < 0 ? -1 : other.Next(state.Right, right));
                if (!known.TryGetValue(next, out var number))
                {
                    if (known.Count == GrammarLimits.States) throw GrammarException.Limit("an expression needs too many states", GrammarLimits.States);
                    known.Add(next, number = known.Count);
                    order.Add(next);
                }
                table.Add(number);
            }
        }
        return Of(classes, [.. table], [.. finals], budget);
    }

    /// <summary>What one more state of a table that grows takes: lists double, and what they had before is garbage.</summary>
    public static long StateBytes(int classes) => 100 + (classes * 3L * sizeof(int));

    /// <summary>Takes out states from which no final one can be reached, and numbers the others in the order in which they are met.</summary>
    static CharacterAutomaton Trim(CodePointClasses classes, int[] next, bool[] finals)
    {
        var alive = Alive(next, finals, classes.Count);
        if (!alive.Contains(false)) return new(classes, next, finals);
        var numbers = Enumerable.Repeat(-1, finals.Length).ToArray();
        var order = new List<int> { 0 };
        numbers[0] = 0;
        for (var i = 0; i < order.Count; i++)
            foreach (var target in next.AsSpan(order[i] * classes.Count, classes.Count))
                if (target >= 0 && alive[target] && numbers[target] < 0)
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
        // By state, where those that lead to it begin in the list of them.
        var begins = new int[finals.Length + 1];
        foreach (var target in next)
            if (target >= 0) begins[target + 1]++;
        for (var state = 0; state < finals.Length; state++) begins[state + 1] += begins[state];
        var (sources, filled) = (new int[begins[^1]], begins[..^1]);
        for (var i = 0; i < next.Length; i++)
            if (next[i] >= 0) sources[filled[next[i]]++] = i / classes;
        var alive = (bool[])finals.Clone();
        var open = new Stack<int>(Enumerable.Range(0, finals.Length).Where(state => finals[state]));
        while (open.TryPop(out var state))
            foreach (var source in sources.AsSpan(begins[state], begins[state + 1] - begins[state]))
                if (!alive[source])
                {
                    alive[source] = true;
                    open.Push(source);
                }
        return alive;
    }
}

using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Rules;

/// <summary>
/// Takes out what leads nowhere. What is left can always be completed, so a mask never lets an answer into a dead end. Also finds what the matcher has
/// to know of rules beforehand.
/// </summary>
sealed class RulePruning
{
    readonly int _root;
    readonly int[] _starts;
    readonly int[] _ends;
    readonly List<List<RuleStep>> _steps;
    readonly WorkBudget _budget;
    readonly Dictionary<int, int> _ruleStarting;

    /// <summary>By node, the steps that lead to it; by rule, the steps that read it.</summary>
    readonly List<(int From, RuleStep Step)>[] _into;
    readonly List<(int From, RuleStep Step)>[] _reading;

    public RulePruning(int root, int[] starts, int[] ends, List<List<RuleStep>> steps, WorkBudget budget)
    {
        (_root, _starts, _ends, _steps, _budget) = (root, starts, ends, steps, budget);
        _ruleStarting = starts.Index().ToDictionary(start => start.Item, start => start.Index);
        _into = new List<(int, RuleStep)>[steps.Count];
        _reading = new List<(int, RuleStep)>[starts.Length];
        for (var node = 0; node < steps.Count; node++)
            foreach (var step in steps[node])
            {
                budget.Spend(50);
                (_into[step.Target] ??= []).Add((node, step));
                if (step.Kind is StepKind.Rule) (_reading[step.Index] ??= []).Add((node, step));
            }
    }

    /// <summary>Null where the root matches no text.</summary>
    public RuleSet? ToRuleSet(int[] ruleOf, IReadOnlyList<Lexeme> lexemes)
    {
        var productive = Reaching(step => step.Kind is StepKind.Empty or StepKind.Lexeme);
        if (!productive[_starts[_root]]) return null;
        var empty = Reaching(step => step.Kind is StepKind.Empty);
        var steps = new RuleStep[_steps.Count][];
        for (var node = 0; node < steps.Length; node++)
            steps[node] = [.. _steps[node].Where(step => productive[step.Target] && (step.Kind is not StepKind.Rule || productive[_starts[step.Index]])).Distinct()];
        return new RuleSet(
            _root, _starts, _ends, [.. _starts.Select(start => empty[start])], steps, ruleOf, OnlyEnd(steps), lexemes);
    }

    /// <summary>
    /// From which nodes the end of the rule can be reached by such steps, and by steps over rules of which the same is true from their start.
    /// </summary>
    bool[] Reaching(Func<RuleStep, bool> reads)
    {
        var reaching = new bool[_steps.Count];
        var open = new Stack<int>(_ends);
        while (open.TryPop(out var node))
        {
            if (reaching[node]) continue;
            reaching[node] = true;
            foreach (var (from, step) in _into[node] ?? [])
            {
                _budget.Spend(50);
                if (reads(step) || (step.Kind is StepKind.Rule && reaching[_starts[step.Index]])) open.Push(from);
            }
            if (_ruleStarting.TryGetValue(node, out var rule))
                foreach (var (from, step) in _reading[rule] ?? [])
                    if (reaching[step.Target]) open.Push(from);
        }
        return reaching;
    }

    bool[] OnlyEnd(RuleStep[][] steps)
    {
        var only = new bool[steps.Length];
        var open = new Stack<int>(_ends);
        while (open.TryPop(out var node))
        {
            if (only[node]) continue;
            only[node] = true;
            foreach (var (from, step) in _into[node] ?? [])
                if (step.Kind is StepKind.Empty && steps[from] is [_]) open.Push(from);
        }
        return only;
    }
}

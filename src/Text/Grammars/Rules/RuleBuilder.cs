using LlamaCluster.Text.Grammars.Automata;
using LlamaCluster.Text.Grammars.Expressions;

namespace LlamaCluster.Text.Grammars.Rules;

/// <summary>
/// Makes a <see cref="RuleSet"/> of expressions. What is regular in them becomes lexemes, as large as possible: the fewer there are on the way of a token,
/// the faster masks are.
/// </summary>
sealed class RuleBuilder
{
    /// <summary>Lexemes of more states than this are not made of parts that could stand alone.</summary>
    const int LargestLexeme = 2_000;

    /// <summary>So many texts of a choice are made one lexeme together with what else is regular in it.</summary>
    const int FewTexts = 16;

    readonly IReadOnlyList<Expression> _rules;
    readonly WorkBudget _budget;
    readonly RegularParts _regular;
    readonly List<List<RuleStep>> _steps = [];
    readonly List<int> _ruleOf = [];
    readonly List<Lexeme> _lexemes = [];
    readonly Dictionary<Expression, RegularLexeme?> _made = new(ReferenceEqualityComparer.Instance);
    readonly Dictionary<string, RegularLexeme> _ofLiterals = [];
    readonly Dictionary<CodePoints, RegularLexeme> _ofSets = [];
    readonly Dictionary<object, int> _numbers = new(ReferenceEqualityComparer.Instance);
    int _rule;

    RuleBuilder(IReadOnlyList<Expression> rules, WorkBudget budget) =>
        (_rules, _budget, _regular) = (rules, budget, new RegularParts(rules, LargestLexeme));

    /// <exception cref="GrammarException">No text matches, or a limit is reached.</exception>
    public static RuleSet Build(IReadOnlyList<Expression> rules, int root, WorkBudget budget) =>
        TryBuild(rules, root, budget) ?? throw new GrammarException("no text matches: what it describes has no end, or contradicts itself");

    /// <summary>Null where no text matches.</summary>
    /// <exception cref="GrammarException">A limit is reached.</exception>
    public static RuleSet? TryBuild(IReadOnlyList<Expression> rules, int root, WorkBudget budget)
    {
        var builder = new RuleBuilder(rules, budget);
        var (starts, ends) = (new int[rules.Count], new int[rules.Count]);
        for (var rule = 0; rule < rules.Count; rule++)
        {
            builder._rule = rule;
            (starts[rule], ends[rule]) = (builder.Node(), builder.Node());
            builder.Add(rules[rule], starts[rule], ends[rule]);
        }
        return new RulePruning(root, starts, ends, builder._steps, budget).ToRuleSet([.. builder._ruleOf], builder._lexemes);
    }

    int Node()
    {
        if (_steps.Count == GrammarLimits.RuleNodes) throw GrammarException.Limit("the grammar is too large: its rules need too many nodes",
            GrammarLimits.RuleNodes);
        _budget.Spend(200);
        _budget.Allocate(300);   // with the steps that lead on from it, here and where they are pruned
        _steps.Add([]);
        _ruleOf.Add(_rule);
        return _steps.Count - 1;
    }

    void Join(int from, StepKind kind, int index, int to) => _steps[from].Add(new RuleStep(kind, index, to));

    void Add(Expression expression, int from, int to)
    {
        _budget.Spend(200);
        if ((AreTexts(expression) || _regular.Contains(expression)) && TryAddLexeme(expression, from, to)) return;
        switch (expression)
        {
            case Expression.Recognised recognised: Join(from, StepKind.Lexeme, NumberOf(recognised.Lexeme), to); break;
            case Expression.Reference reference: Join(from, StepKind.Rule, reference.Rule, to); break;
            case Expression.Sequence sequence: AddSequence(sequence.Parts, from, to); break;
            case Expression.Choice choice: AddChoice(choice.Parts, from, to); break;
            case Expression.Repeat repeat: AddRepeat(repeat, from, to); break;
            case Expression.Network network: AddNetwork(network, from, to); break;
            case Expression.Character: AddLexeme(LexemeOf(ExpressionCompiler.ToAutomaton(expression, _budget)), from, to); break;
            default: throw new InvalidOperationException($"a rule cannot have {expression.GetType().Name}");
        }
    }

    /// <summary>False where it would have too many states: then its parts become lexemes.</summary>
    bool TryAddLexeme(Expression expression, int from, int to)
    {
        // The same expression, such as a comma, stands in many places.
        if (!_made.TryGetValue(expression, out var made)) _made.Add(expression, made = TryMake(expression));
        if (made is null) return false;
        AddLexeme(made, from, to);
        return true;
    }

    RegularLexeme? TryMake(Expression expression)
    {
        if (expression is Expression.Literal { Text: var text })
            return _ofLiterals.TryGetValue(text, out var found) ? found : _ofLiterals[text] = OfTexts([expression]);
        if (AreTexts(expression)) return OfTexts(((Expression.Choice)expression).Parts);
        if (expression is Expression.Character { Set: var set })
            return _ofSets.TryGetValue(set, out var known) ? known : _ofSets[set] = LexemeOf(ExpressionCompiler.ToAutomaton(expression, _budget));
        try
        {
            var automaton = ExpressionCompiler.ToAutomaton(expression, _budget, _rules);
            return automaton.StateCount > LargestLexeme ? null : LexemeOf(automaton);
        }
        catch (GrammarException) when (_budget.HasLeft)
        {
            return null;
        }
    }

    /// <summary>A text, or one of several.</summary>
    static bool AreTexts(Expression expression) =>
        expression is Expression.Literal || (expression is Expression.Choice { Parts: { Count: > 0 } parts } && parts.All(part => part is Expression.Literal));

    RegularLexeme OfTexts(IEnumerable<Expression> literals)
    {
        var texts = literals.Cast<Expression.Literal>().Select(literal => literal.Text).ToLookup(text => text.Length == 0);
        return new(texts[false].Any() ? new TextsLexeme(texts[false], _budget) : null, texts[true].Any());
    }

    RegularLexeme LexemeOf(CharacterAutomaton automaton) =>
        new(automaton.IsEmpty ? null : ByteEncoding.Encode(automaton, CharacterEncoding.Plain, _budget), automaton.IsFinal(0));

    void AddLexeme(RegularLexeme made, int from, int to)
    {
        if (made.MayBeEmpty) Join(from, StepKind.Empty, 0, to);
        if (made.Lexeme is { } lexeme && lexeme.GoesOn(lexeme.Start)) Join(from, StepKind.Lexeme, NumberOf(lexeme), to);
    }

    /// <param name="Lexeme">Null where nothing matches.</param>
    sealed record RegularLexeme(Lexeme? Lexeme, bool MayBeEmpty);

    int NumberOf(Lexeme lexeme)
    {
        if (_numbers.TryGetValue(lexeme, out var number)) return number;
        _lexemes.Add(lexeme);
        return _numbers[lexeme] = _lexemes.Count - 1;
    }

    /// <summary>Neighbours that are regular become one lexeme.</summary>
    void AddSequence(IReadOnlyList<Expression> parts, int from, int to)
    {
        for (var i = 0; i < parts.Count;)
        {
            var end = i + 1;
            if (_regular.Contains(parts[i]))
                while (end < parts.Count && _regular.Contains(parts[end])) end++;
            var next = end == parts.Count ? to : Node();
            if (end - i > 1 && end - i < parts.Count) Add(new Expression.Sequence([.. parts.Skip(i).Take(end - i)]), from, next);
            else if (end - i > 1) AddOneByOne(parts, from, next);
            else Add(parts[i], from, next);
            (i, from) = (end, next);
        }
        if (parts.Count == 0) Join(from, StepKind.Empty, 0, to);
    }

    void AddOneByOne(IReadOnlyList<Expression> parts, int from, int to)
    {
        for (var i = 0; i < parts.Count; i++)
        {
            var next = i + 1 == parts.Count ? to : Node();
            Add(parts[i], from, next);
            from = next;
        }
    }

    /// <summary>Alternatives that are texts, or else regular, become one lexeme.</summary>
    void AddChoice(IReadOnlyList<Expression> parts, int from, int to)
    {
        var texts = parts.Where(part => part is Expression.Literal).ToList();
        if (texts.Count > FewTexts && texts.Count < parts.Count)
        {
            Add(new Expression.Choice(texts), from, to);
            parts = [.. parts.Where(part => part is not Expression.Literal)];
        }
        var regular = parts.Where(_regular.Contains).ToList();
        if (regular.Count > 1 && regular.Count < parts.Count) Add(new Expression.Choice(regular), from, to);
        else
            foreach (var part in regular) Add(part, from, to);
        foreach (var part in parts)
            if (!_regular.Contains(part)) Add(part, from, to);
    }

    void AddRepeat(Expression.Repeat repeat, int from, int to)
    {
        for (var i = 0; i < repeat.Least; i++) from = AddOnce(repeat.Part, from);
        if (repeat.Most is not { } most)
        {
            var loop = Node();
            Join(from, StepKind.Empty, 0, loop);
            Add(repeat.Part, loop, loop);
            Join(loop, StepKind.Empty, 0, to);
            return;
        }
        Join(from, StepKind.Empty, 0, to);
        for (var i = repeat.Least; i < most; i++)
        {
            from = AddOnce(repeat.Part, from);
            Join(from, StepKind.Empty, 0, to);
        }
    }

    int AddOnce(Expression part, int from)
    {
        var next = Node();
        Add(part, from, next);
        return next;
    }

    void AddNetwork(Expression.Network network, int from, int to)
    {
        var nodes = new int[network.Places];
        for (var place = 0; place < nodes.Length; place++) nodes[place] = Node();
        Join(from, StepKind.Empty, 0, nodes[0]);
        Join(nodes[^1], StepKind.Empty, 0, to);
        foreach (var (start, reads, end) in network.Steps)
        {
            if (reads is null) Join(nodes[start], StepKind.Empty, 0, nodes[end]);
            else Add(reads, nodes[start], nodes[end]);
        }
    }
}

using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Expressions;

/// <summary>What a part of an answer may be: the one form to which schemas, regular expressions and GBNF come.</summary>
abstract record Expression
{
    Expression() { }

    /// <summary>The empty text.</summary>
    public static Expression Empty { get; } = new Sequence([]);

    /// <summary>Nothing, not even the empty text.</summary>
    public static Expression Never { get; } = new Choice([]);

    /// <summary>One character of a set.</summary>
    public sealed record Character(CodePoints Set) : Expression;

    public sealed record Literal(string Text) : Expression;

    public sealed record Sequence(IReadOnlyList<Expression> Parts) : Expression;

    public sealed record Choice(IReadOnlyList<Expression> Parts) : Expression;

    /// <param name="Most">Null: any number of times.</param>
    public sealed record Repeat(Expression Part, int Least, int? Most) : Expression;

    /// <summary>The start or the end of the text, in a regular expression. It reads nothing.</summary>
    public sealed record Anchor(bool Start) : Expression;

    /// <summary>What a lexeme recognises.</summary>
    public sealed record Recognised(Lexeme Lexeme) : Expression;

    /// <summary>What the rule of this number describes.</summary>
    public sealed record Reference(int Rule) : Expression;

    /// <summary>Steps between places: place 0 is the start, the last one the end.</summary>
    /// <param name="Steps">Null: the step reads nothing.</param>
    public sealed record Network(int Places, IReadOnlyList<(int From, Expression? Reads, int To)> Steps) : Expression;

    public static Expression Of(params ReadOnlySpan<Expression> parts) => new Sequence([.. parts]);

    public static Expression AnyOf(IReadOnlyList<Expression> parts) => parts is [var only] ? only : new Choice(parts);

    public static Expression ZeroOrMore(Expression part) => new Repeat(part, 0, null);

    public static Expression Optional(Expression part) => new Repeat(part, 0, 1);
}

/// <summary>Makes automata of expressions.</summary>
static class ExpressionCompiler
{
    /// <param name="expression">Has no anchors, lexemes or networks.</param>
    /// <param name="rules">What references stand for: rules that do not refer to themselves.</param>
    public static CharacterAutomaton ToAutomaton(Expression expression, WorkBudget budget, IReadOnlyList<Expression>? rules = null)
    {
        var automaton = new ExpressionAutomaton(budget);
        var start = automaton.Add();
        var end = Build(expression, start, automaton, rules ?? []);
        return automaton.ToDeterministic(start, end);
    }

    /// <returns>The state behind the expression.</returns>
    static int Build(Expression expression, int from, ExpressionAutomaton automaton, IReadOnlyList<Expression> rules)
    {
        automaton.Visit();
        switch (expression)
        {
            case Expression.Character character:
                return Read(character.Set, from, automaton);
            case Expression.Literal literal:
                foreach (var rune in literal.Text.EnumerateRunes()) from = Read(CodePoints.Of(rune.Value), from, automaton);
                return from;
            case Expression.Sequence sequence:
                foreach (var part in sequence.Parts) from = Build(part, from, automaton, rules);
                return from;
            case Expression.Choice choice:
                var end = automaton.Add();
                foreach (var part in choice.Parts)
                {
                    var branch = automaton.Add();
                    automaton.Join(from, branch);
                    automaton.Join(Build(part, branch, automaton, rules), end);
                }
                return end;
            case Expression.Repeat repeat:
                return BuildRepeat(repeat, from, automaton, rules);
            case Expression.Reference reference:
                return Build(rules[reference.Rule], from, automaton, rules);
            default:
                throw new InvalidOperationException($"{expression.GetType().Name} has no automaton of its own");
        }
    }

    static int Read(CodePoints set, int from, ExpressionAutomaton automaton)
    {
        var (reader, next) = (automaton.Add(), automaton.Add());
        automaton.Join(from, reader);
        automaton.Read(reader, set, next);
        return next;
    }

    static int BuildRepeat(Expression.Repeat repeat, int from, ExpressionAutomaton automaton, IReadOnlyList<Expression> rules)
    {
        for (var i = 0; i < repeat.Least; i++) from = Build(repeat.Part, from, automaton, rules);
        if (repeat.Most is not { } most)
        {
            var loop = automaton.Add();
            automaton.Join(from, loop);
            automaton.Join(Build(repeat.Part, loop, automaton, rules), loop);
            var behind = automaton.Add();
            automaton.Join(loop, behind);
            return behind;
        }
        var end = automaton.Add();
        automaton.Join(from, end);
        for (var i = repeat.Least; i < most; i++)
        {
            from = Build(repeat.Part, from, automaton, rules);
            automaton.Join(from, end);
        }
        return end;
    }
}

using System.Runtime.InteropServices;
using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Expressions;

/// <summary>
/// Reads regular expressions of ECMA-262 with the flag "u", as JSON Schema has them (https://json-schema.org/draft/2020-12, 6.4). What is not regular
/// (references back), or looks around, is refused by name.
/// </summary>
sealed class RegexParser
{
    /// <summary>Alternatives into which groups with anchors may be spread.</summary>
    const int MostAnchored = 64;

    readonly SourceCursor _source;
    readonly WorkBudget _budget;

    /// <summary>What has anchors in it.</summary>
    readonly HashSet<Expression> _anchored = new(ReferenceEqualityComparer.Instance);
    int _depth;

    RegexParser(string text, WorkBudget budget) => (_source, _budget) = (new SourceCursor(text), budget);

    static Expression AnyText { get; } = Expression.ZeroOrMore(new Expression.Character(CodePoints.All));

    /// <summary>All texts that match as a whole.</summary>
    public static Expression Whole(string text, WorkBudget budget) => Expression.AnyOf([.. Parse(text, budget).Select(part => part.Body)]);

    /// <summary>All texts in which something matches: anchors say where.</summary>
    public static Expression Anywhere(string text, WorkBudget budget) => Expression.AnyOf(
        [.. Parse(text, budget).Select(part => Expression.Of(part.Starts ? Expression.Empty : AnyText, part.Body, part.Ends ? Expression.Empty : AnyText))]);

    static List<Anchored> Parse(string text, WorkBudget budget)
    {
        var parser = new RegexParser(text, budget);
        var expression = parser.Alternatives();
        if (!parser._source.AtEnd) throw parser._source.Wrong("has a ')' without its '('");
        return parser.Spread(expression);
    }

    Expression Alternatives()
    {
        if (++_depth > GrammarLimits.Depth) throw GrammarException.Limit("groups are nested too deep", GrammarLimits.Depth);
        var parts = new List<Expression> { Sequence() };
        while (_source.TryTake('|')) parts.Add(Sequence());
        _depth--;
        return WithAnchorsOf(parts, Expression.AnyOf(parts));
    }

    Expression Sequence()
    {
        var parts = new List<Expression>();
        while (!_source.AtEnd && _source.Next is not ('|' or ')')) parts.Add(Quantified(Atom()));
        return WithAnchorsOf(parts, parts is [var only] ? only : new Expression.Sequence(parts));
    }

    Expression WithAnchorsOf(List<Expression> parts, Expression whole)
    {
        if (parts.Any(HasAnchor)) _anchored.Add(whole);
        return whole;
    }

    bool HasAnchor(Expression expression) => expression is Expression.Anchor || _anchored.Contains(expression);

    Expression Atom()
    {
        _budget.Spend(150);
        _budget.Allocate(150);
        var letter = _source.TakeCharacter();
        switch (letter)
        {
            case '^': return new Expression.Anchor(Start: true);
            case '$': return new Expression.Anchor(Start: false);
            case '.': return new Expression.Character(CharacterEscapes.AnyButLineEnds);
            case '(': return Group();
            case '[': return new Expression.Character(Set());
            case '\\': return new Expression.Character(CharacterEscapes.Take(_source));
            case '*' or '+' or '?': throw _source.Wrong($"has a '{(char)letter}' with nothing to repeat");
            case '{': throw _source.Wrong("has a '{' with nothing to repeat");
            default: return new Expression.Character(CodePoints.Of(letter));
        }
    }

    Expression Group()
    {
        if (_source.TryTake('?'))
        {
            if (_source.StartsWith("=") || _source.StartsWith("!") || _source.StartsWith("<=") || _source.StartsWith("<!"))
                throw _source.Wrong("looks ahead or behind ((?=, (?!, (?<), which is not supported");
            if (_source.TryTake('<'))
            {
                _source.TakeWhile(character => character != '>');
                if (!_source.TryTake('>')) throw _source.Wrong("has a group's name without its '>'");
            }
            else if (!_source.TryTake(':')) throw _source.Wrong("has a group of an unknown kind, or flags, which are not supported");
        }
        var inner = Alternatives();
        return _source.TryTake(')') ? inner : throw _source.Wrong("has a '(' without its ')'");
    }

    Expression Quantified(Expression atom)
    {
        (int Least, int? Most)? bounds = _source.Next switch
        {
            '*' when _source.TryTake('*') => (0, null),
            '+' when _source.TryTake('+') => (1, null),
            '?' when _source.TryTake('?') => (0, 1),
            '{' when _source.TryTake('{') => _source.TakeBounds(),
            _ => null,
        };
        if (bounds is not { } found) return atom;
        if (HasAnchor(atom)) throw _source.Wrong("repeats an anchor (^ or $), which is not supported");
        _source.TryTake('?');   // lazy: which match is found does not matter, only that there is one
        return new Expression.Repeat(atom, found.Least, found.Most);
    }

    CodePoints Set()
    {
        var complement = _source.TryTake('^');
        var ranges = new List<(int, int)>();
        while (!_source.TryTake(']'))
        {
            var first = SetMember();
            if (_source.Next != '-' || _source.StartsWith("-]"))
            {
                ranges.AddRange(first.Ranges);
                continue;
            }
            _source.TryTake('-');
            var last = SetMember();
            if (first.Ranges is not [var (low, alsoLow)] || last.Ranges is not [var (high, alsoHigh)] || low != alsoLow || high != alsoHigh || low > high)
                throw _source.Wrong("has a range in [] whose ends are no characters in order");
            ranges.Add((low, high));
        }
        var set = CodePoints.OfRanges(CollectionsMarshal.AsSpan(ranges));
        return complement ? set.Complement() : set;
    }

    CodePoints SetMember()
    {
        if (_source.AtEnd) throw _source.Wrong("has a '[' without its ']'");
        var member = !_source.TryTake('\\') ? CodePoints.Of(_source.TakeCharacter())
            : _source.TryTake('b') ? CodePoints.Of('\b') : CharacterEscapes.Take(_source);
        // They will be sorted with all others.
        _budget.Spend(100 + (member.Ranges.Length * 150L));
        _budget.Allocate(100 + (member.Ranges.Length * 40L));
        return member;
    }

    /// <summary>The alternatives of an expression without its anchors, and for each whether it begins and ends where the text does.</summary>
    List<Anchored> Spread(Expression expression)
    {
        if (!HasAnchor(expression)) return [new(expression, false, false)];
        var spread = expression switch
        {
            Expression.Anchor anchor => [new(Expression.Empty, anchor.Start, !anchor.Start)],
            Expression.Choice choice => [.. choice.Parts.SelectMany(Spread)],
            Expression.Sequence sequence => Runs(sequence.Parts).Aggregate(
                new List<Anchored> { new(Expression.Empty, false, false) },
                (before, part) => Then(before, Spread(part))),
            _ => throw new InvalidOperationException($"{expression.GetType().Name} has no anchors"),
        };
        return Checked(spread);
    }

    List<Anchored> Then(List<Anchored> before, List<Anchored> after) =>
        Checked([.. from left in before from right in after select left.Then(right, _source)]);

    /// <summary>Neighbours without anchors as one, so that what comes of a long sequence is not as high as it is long.</summary>
    IEnumerable<Expression> Runs(IReadOnlyList<Expression> parts)
    {
        var run = new List<Expression>();
        foreach (var part in parts)
        {
            if (!HasAnchor(part))
            {
                run.Add(part);
                continue;
            }
            if (run.Count > 0) yield return new Expression.Sequence(run);
            run = [];
            yield return part;
        }
        if (run.Count > 0) yield return new Expression.Sequence(run);
    }

    static List<Anchored> Checked(List<Anchored> parts) =>
        parts.Count <= MostAnchored ? parts : throw GrammarException.Limit("anchors stand in too many alternatives", MostAnchored);

    readonly record struct Anchored(Expression Body, bool Starts, bool Ends)
    {
        bool IsEmpty => Body is Expression.Sequence { Parts.Count: 0 };

        public Anchored Then(Anchored next, SourceCursor source)
        {
            if ((Ends && !next.IsEmpty) || (next.Starts && !IsEmpty)) throw source.Wrong("has an anchor (^ or $) in the middle, which is not supported");
            return new(IsEmpty ? next.Body : next.IsEmpty ? Body : Expression.Of(Body, next.Body), Starts || next.Starts, Ends || next.Ends);
        }
    }
}

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
    int _depth;

    RegexParser(string text) => _source = new SourceCursor(text);

    static Expression AnyText { get; } = Expression.ZeroOrMore(new Expression.Character(CodePoints.All));

    /// <summary>All texts that match as a whole.</summary>
    public static Expression Whole(string text) => Expression.AnyOf([.. Parse(text).Select(part => part.Body)]);

    /// <summary>All texts in which something matches: anchors say where.</summary>
    public static Expression Anywhere(string text) => Expression.AnyOf(
        [.. Parse(text).Select(part => Expression.Of(part.Starts ? Expression.Empty : AnyText, part.Body, part.Ends ? Expression.Empty : AnyText))]);

    static List<Anchored> Parse(string text)
    {
        var parser = new RegexParser(text);
        var expression = parser.Alternatives();
        if (!parser._source.AtEnd) throw parser._source.Wrong("has a ')' without its '('");
        return Spread(expression, parser._source);
    }

    Expression Alternatives()
    {
        if (++_depth > GrammarLimits.Depth) throw GrammarException.Limit("groups are nested too deep", GrammarLimits.Depth);
        var parts = new List<Expression> { Sequence() };
        while (_source.TryTake('|')) parts.Add(Sequence());
        _depth--;
        return Expression.AnyOf(parts);
    }

    Expression Sequence()
    {
        var parts = new List<Expression>();
        while (!_source.AtEnd && _source.Next is not ('|' or ')')) parts.Add(Quantified(Atom()));
        return parts is [var only] ? only : new Expression.Sequence(parts);
    }

    Expression Atom()
    {
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
        var parts = new List<CodePoints>();
        while (!_source.TryTake(']'))
        {
            var first = SetMember();
            if (_source.Next != '-' || _source.StartsWith("-]"))
            {
                parts.Add(first);
                continue;
            }
            _source.TryTake('-');
            var last = SetMember();
            if (first.Ranges is not [var (low, alsoLow)] || last.Ranges is not [var (high, alsoHigh)] || low != alsoLow || high != alsoHigh || low > high)
                throw _source.Wrong("has a range in [] whose ends are no characters in order");
            parts.Add(CodePoints.Range(low, high));
        }
        var set = CodePoints.OfRanges(parts.SelectMany(part => part.Ranges.ToArray()));
        return complement ? set.Complement() : set;
    }

    CodePoints SetMember()
    {
        if (_source.AtEnd) throw _source.Wrong("has a '[' without its ']'");
        if (!_source.TryTake('\\')) return CodePoints.Of(_source.TakeCharacter());
        return _source.TryTake('b') ? CodePoints.Of('\b') : CharacterEscapes.Take(_source);
    }

    static bool HasAnchor(Expression expression) => expression switch
    {
        Expression.Anchor => true,
        Expression.Sequence sequence => sequence.Parts.Any(HasAnchor),
        Expression.Choice choice => choice.Parts.Any(HasAnchor),
        _ => false,   // what is repeated has none
    };

    /// <summary>The alternatives of an expression without its anchors, and for each whether it begins and ends where the text does.</summary>
    static List<Anchored> Spread(Expression expression, SourceCursor source)
    {
        if (!HasAnchor(expression)) return [new(expression, false, false)];
        var spread = expression switch
        {
            Expression.Anchor anchor => [new(Expression.Empty, anchor.Start, !anchor.Start)],
            Expression.Choice choice => [.. choice.Parts.SelectMany(part => Spread(part, source))],
            Expression.Sequence sequence => sequence.Parts.Aggregate(
                new List<Anchored> { new(Expression.Empty, false, false) },
                (before, part) => Checked([.. from left in before from right in Spread(part, source) select left.Then(right, source)])),
            _ => throw new InvalidOperationException($"{expression.GetType().Name} has no anchors"),
        };
        return Checked(spread);
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

using System.Runtime.InteropServices;
using System.Text;
using LlamaCluster.Text.Grammars.Automata;

namespace LlamaCluster.Text.Grammars.Expressions;

/// <summary>
/// Reads GBNF, llama.cpp's notation of grammars (https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md). Rules may refer to themselves
/// in any way, also at their start.
/// </summary>
sealed class GbnfParser
{
    const string Root = "root";

    readonly SourceCursor _source;
    readonly WorkBudget _budget;
    readonly Dictionary<string, int> _numbers = [];
    readonly List<Expression?> _rules = [];
    int _depth;

    GbnfParser(string text, WorkBudget budget) => (_source, _budget) = (new SourceCursor(text), budget);

    /// <returns>What each rule describes, and the number of the one called "root".</returns>
    public static (IReadOnlyList<Expression> Rules, int Root) Parse(string text, WorkBudget budget)
    {
        var parser = new GbnfParser(text, budget);
        parser.SkipSpace(newLines: true);
        while (!parser._source.AtEnd) parser.Rule();
        foreach (var (name, number) in parser._numbers)
            if (parser._rules[number] is null) throw new GrammarException($"the rule '{Shorten(name)}' is used, but not defined");
        return parser._numbers.TryGetValue(Root, out var root)
            ? ([.. parser._rules.OfType<Expression>()], root)
            : throw new GrammarException($"there is no rule '{Root}', with which an answer begins");
    }

    static string Shorten(string name) => name.Length <= 60 ? name : name[..60] + "...";

    void Rule()
    {
        var name = Name();
        var number = NumberOf(name);
        if (_rules[number] is not null) throw _source.Wrong($"defines the rule '{Shorten(name)}' a second time");
        SkipSpace(newLines: false);
        if (!_source.TryTake("::=")) throw _source.Wrong("needs '::=' behind a rule's name here");
        SkipSpace(newLines: true);
        _rules[number] = Alternatives(nested: false);
        if (!_source.AtEnd && _source.Next is not ('\n' or '\r')) throw _source.Wrong($"has '{_source.Next}' where a rule should end");
        SkipSpace(newLines: true);
    }

    Expression Alternatives(bool nested)
    {
        if (++_depth > GrammarLimits.Depth) throw GrammarException.Limit("groups are nested too deep", GrammarLimits.Depth);
        var parts = new List<Expression> { Sequence(nested) };
        while (_source.TryTake('|'))
        {
            SkipSpace(newLines: true);
            parts.Add(Sequence(nested));
        }
        _depth--;
        return Expression.AnyOf(parts);
    }

    Expression Sequence(bool nested)
    {
        var parts = new List<Expression>();
        while (Item() is { } item)
        {
            parts.Add(Quantified(item));
            SkipSpace(nested);
        }
        return parts is [var only] ? only : new Expression.Sequence(parts);
    }

    /// <summary>Null where a sequence ends.</summary>
    Expression? Item()
    {
        _budget.Spend(150);
        _budget.Allocate(150);
        if (_source.TryTake('"')) return Literal();
        if (_source.TryTake('[')) return new Expression.Character(Set());
        if (_source.TryTake('.')) return new Expression.Character(CodePoints.All);
        if (_source.TryTake('('))
        {
            SkipSpace(newLines: true);
            var inner = Alternatives(nested: true);
            return _source.TryTake(')') ? inner : throw _source.Wrong("has a '(' without its ')'");
        }
        if (_source.Next is '<' or '!') throw _source.Wrong("names tokens (<...>), which is not supported: write their text");
        return IsNameCharacter(_source.Next) ? new Expression.Reference(NumberOf(Name())) : null;
    }

    Expression Quantified(Expression item)
    {
        for (var count = 0; ; count++)
        {
            (int Least, int? Most)? bounds = _source.Next switch
            {
                '*' when _source.TryTake('*') => (0, null),
                '+' when _source.TryTake('+') => (1, null),
                '?' when _source.TryTake('?') => (0, 1),
                '{' when _source.TryTake('{') => _source.TakeBounds(),
                _ => null,
            };
            if (bounds is not { } found) return item;
            if (count == GrammarLimits.Quantifiers) throw GrammarException.Limit("too many of * + ? {} follow one another", GrammarLimits.Quantifiers);
            item = new Expression.Repeat(item, found.Least, found.Most);
        }
    }

    Expression Literal()
    {
        var text = new StringBuilder();
        while (!_source.TryTake('"')) text.Append(new Rune(Character()));
        return new Expression.Literal(text.ToString());
    }

    CodePoints Set()
    {
        var complement = _source.TryTake('^');
        var ranges = new List<(int, int)>();
        while (!_source.TryTake(']'))
        {
            _budget.Spend(150);
            _budget.Allocate(40);
            var first = Character();
            var last = first;
            if (_source.Next == '-' && !_source.StartsWith("-]"))
            {
                _source.TryTake('-');
                last = Character();
                if (last < first) throw _source.Wrong("has a range in [] whose ends are not in order");
            }
            ranges.Add((first, last));
        }
        var set = CodePoints.OfRanges(CollectionsMarshal.AsSpan(ranges));
        return complement ? set.Complement() : set;
    }

    int Character()
    {
        if (_source.Next is '\n' or '\r') throw _source.Wrong("breaks a line within quotes or []; write \\n");
        if (!_source.TryTake('\\')) return _source.TakeCharacter();
        var letter = _source.TakeCharacter();
        var character = letter switch
        {
            'x' => _source.TakeHex(2),
            'u' => _source.TakeHex(4),
            'U' => _source.TakeHex(8),
            't' => '\t',
            'r' => '\r',
            'n' => '\n',
            '\\' or '"' or '[' or ']' or '-' or '^' => letter,
            _ => throw _source.Wrong($"has the unknown escape \\{new Rune(letter)}"),
        };
        return Rune.IsValid(character) ? character : throw _source.Wrong("has half a surrogate pair");
    }

    string Name()
    {
        var name = _source.TakeWhile(IsNameCharacter);
        return name.Length > 0 ? name : throw _source.Wrong("needs a rule's name here");
    }

    int NumberOf(string name)
    {
        if (_numbers.TryGetValue(name, out var number)) return number;
        if (_rules.Count == GrammarLimits.RuleNodes) throw GrammarException.Limit("there are too many rules", GrammarLimits.RuleNodes);
        _numbers.Add(name, number = _rules.Count);
        _rules.Add(null);
        return number;
    }

    static bool IsNameCharacter(char character) => char.IsAsciiLetterOrDigit(character) || character is '-' or '_';

    void SkipSpace(bool newLines)
    {
        while (true)
        {
            _source.TakeWhile(character => character is ' ' or '\t' || (newLines && character is '\n' or '\r'));
            if (_source.Next != '#') return;
            _source.TakeWhile(character => character is not ('\n' or '\r'));
        }
    }
}

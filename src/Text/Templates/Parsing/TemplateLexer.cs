using System.Buffers;
using LlamaCluster.Text.Templates.Nodes;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Parsing;

/// <summary>
/// Cuts a template's source into tokens: text, and what stands in <c>{{ }}</c> and <c>{% %}</c>. White space is handled as Jinja2 does
/// with <c>trim_blocks</c> and <c>lstrip_blocks</c>, which chat templates are written for. The line break after a block tag is dropped, and
/// so is white space between the start of a line and a block tag. <c>-</c> drops all white space on its side and <c>+</c> keeps it.
/// </summary>
sealed class TemplateLexer
{
    readonly string _source;
    readonly List<SyntaxToken> _tokens = [];
    int _position;
    int _line = 1;
    int _counted;
    bool _atLineStart = true;

    TemplateLexer(string source) => _source = source;

    public static List<SyntaxToken> Tokenize(string source)
    {
        var lexer = new TemplateLexer(WithoutLastLineBreak(source.Replace("\r\n", "\n").Replace('\r', '\n')));
        while (lexer.ReadText()) lexer.ReadTag();
        lexer.Add(SyntaxTokenKind.End, "");
        return lexer._tokens;
    }

    static string WithoutLastLineBreak(string source) => source.EndsWith('\n') ? source[..^1] : source;

    /// <summary>Reads text up to the next tag; false at the end.</summary>
    bool ReadText()
    {
        var tag = FindTag();
        if (tag < 0)
        {
            AddText(_source[_position..]);
            MoveTo(_source.Length);
            return false;
        }
        AddText(StripBeforeTag(_source[_position..tag], tag, isOutput: _source[tag + 1] == '{'));
        MoveTo(tag);
        return true;
    }

    void ReadTag()
    {
        var kind = _source[_position + 1];
        if (kind == '%' && RawTag("raw", _position) is { } raw)
        {
            ReadRaw(raw);
            return;
        }
        MoveTo(_position + (SignAt(_position + 2) is null ? 2 : 3));
        switch (kind)
        {
            case '#':
                SkipComment();
                break;
            case '%':
                Add(SyntaxTokenKind.TagBegin, "");
                ReadTokens('%', SyntaxTokenKind.TagEnd);
                break;
            default:
                Add(SyntaxTokenKind.OutputBegin, "");
                ReadTokens('}', SyntaxTokenKind.OutputEnd);
                break;
        }
    }

    int FindTag()
    {
        for (var at = _source.IndexOf('{', _position); at >= 0 && at + 1 < _source.Length; at = _source.IndexOf('{', at + 1))
            if (_source[at + 1] is '{' or '%' or '#') return at;
        return -1;
    }

    char? SignAt(int at) => at < _source.Length && _source[at] is '-' or '+' ? _source[at] : null;

    string StripBeforeTag(string text, int tag, bool isOutput)
    {
        var sign = SignAt(tag + 2);
        if (sign == '-') return Whitespace.TrimEnd(text);
        if (sign == '+' || isOutput) return text;
        var lineStart = text.LastIndexOf('\n') + 1;
        var startsLine = lineStart > 0 || _atLineStart;
        return startsLine && text[lineStart..].All(Whitespace.IsWhitespace) ? text[..lineStart] : text;
    }

    void SkipComment()
    {
        var end = _source.IndexOf("#}", _position, StringComparison.Ordinal);
        if (end < 0) throw new TemplateFault("missing end of comment tag '#}'", _line);
        MoveTo(AfterEnd(end, stripsLineBreak: true));
    }

    void ReadRaw((int Body, char? Sign) raw)
    {
        var line = _line;
        MoveTo(raw.Body);
        for (var at = _source.IndexOf("{%", _position, StringComparison.Ordinal); at >= 0; at = _source.IndexOf("{%", at + 1, StringComparison.Ordinal))
            if (RawTag("endraw", at) is { } end)
            {
                AddText(StripBeforeTag(_source[_position..at], at, isOutput: false));
                MoveTo(end.Body);
                return;
            }
        throw new TemplateFault("missing '{% endraw %}'", line);
    }

    /// <summary>Where the text after a tag that holds only this name starts; null if there is no such tag.</summary>
    (int Body, char? Sign)? RawTag(string name, int at)
    {
        var sign = SignAt(at + 2);
        var start = SkipWhitespace(at + (sign is null ? 2 : 3));
        if (string.CompareOrdinal(_source, start, name, 0, name.Length) != 0) return null;
        var end = SkipWhitespace(start + name.Length);
        var close = end < _source.Length && _source[end] is '-' or '+' ? end + 1 : end;
        if (string.CompareOrdinal(_source, close, "%}", 0, 2) != 0 || (name == "raw" && close > end && _source[end] == '+')) return null;
        return (AfterEnd(close, stripsLineBreak: name == "endraw"), sign);
    }

    /// <summary>The position after a tag's two closing characters, which start at <paramref name="at"/>, and after the white space that its sign drops.</summary>
    int AfterEnd(int at, bool stripsLineBreak)
    {
        var sign = at > _position && _source[at - 1] is '-' or '+' ? _source[at - 1] : '\0';
        var end = at + 2;
        if (sign == '-') return SkipWhitespace(end);
        return sign != '+' && stripsLineBreak && end < _source.Length && _source[end] == '\n' ? end + 1 : end;
    }

    int SkipWhitespace(int at)
    {
        while (at < _source.Length && Whitespace.IsWhitespace(_source[at])) at++;
        return at;
    }

    void AddText(string text)
    {
        if (text.Length > 0) Add(SyntaxTokenKind.Text, text);
    }

    void Add(SyntaxTokenKind kind, string text) => _tokens.Add(new SyntaxToken(kind, text, _line));

    void MoveTo(int position)
    {
        if (position > _position) _atLineStart = _source[position - 1] == '\n';
        _line += _source.AsSpan(_counted, position - _counted).Count('\n');
        _position = _counted = position;
    }

    // The tokens inside tags.

    static readonly string[] Operators =
        ["//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"];

    static readonly SearchValues<char> Digits = SearchValues.Create("0123456789_");

    /// <summary>Reads tokens up to the tag's end. Inside brackets nothing ends the tag.</summary>
    void ReadTokens(char closing, SyntaxTokenKind end)
    {
        var line = _line;
        var open = new Stack<char>();
        while (true)
        {
            MoveTo(SkipWhitespace(_position));
            if (_position == _source.Length) throw new TemplateFault($"missing '{closing}}}' of the tag that starts here", line);
            if (open.Count == 0 && EndOf(closing) is { } next)
            {
                Add(end, "");
                MoveTo(next);
                return;
            }
            if (!ReadNumber() && !ReadName() && !ReadString()) ReadOperator(open);
        }
    }

    int? EndOf(char closing)
    {
        var signed = _source[_position] == '-' || (_source[_position] == '+' && closing == '%');
        var at = signed ? _position + 1 : _position;
        if (at + 1 >= _source.Length || _source[at] != closing || _source[at + 1] != '}') return null;
        if (!signed) return at + 2 < _source.Length && _source[at + 2] == '\n' && closing == '%' ? at + 3 : at + 2;
        return _source[_position] == '-' ? SkipWhitespace(at + 2) : at + 2;
    }

    bool ReadNumber()
    {
        if (!char.IsAsciiDigit(_source[_position])) return false;
        var end = EndOfDigits(_position);
        var isAttribute = _position > 0 && _source[_position - 1] == '.';
        var fraction = DigitsFollow(end, '.') ? EndOfDigits(end + 1) : end;
        var exponent = EndOfExponent(fraction);
        if (!isAttribute && exponent > end) Take(SyntaxTokenKind.Float, exponent);
        else Take(SyntaxTokenKind.Integer, EndOfInteger(end));
        return true;
    }

    /// <summary>Numbers in decimal, and with 0x, 0o or 0b. A decimal number that starts with 0 consists of zeros only.</summary>
    int EndOfInteger(int end)
    {
        if (_source[_position] != '0') return end;
        var digits = (_position + 1 < _source.Length ? char.ToLowerInvariant(_source[_position + 1]) : ' ') switch
        {
            'x' => "0123456789abcdefABCDEF_",
            'o' => "01234567_",
            'b' => "01_",
            _ => "",
        };
        var prefixed = _position + 2;
        while (prefixed < _source.Length && digits.Contains(_source[prefixed])) prefixed++;
        if (digits.Length > 0 && prefixed > _position + 2) return prefixed;
        var zeros = _position + 1;
        while (zeros < end && _source[zeros] is '0' or '_') zeros++;
        return zeros;
    }

    int EndOfExponent(int at)
    {
        if (at >= _source.Length || _source[at] is not ('e' or 'E')) return at;
        var digits = at + 1 < _source.Length && _source[at + 1] is '+' or '-' ? at + 2 : at + 1;
        return digits < _source.Length && char.IsAsciiDigit(_source[digits]) ? EndOfDigits(digits) : at;
    }

    bool DigitsFollow(int at, char mark) => at + 1 < _source.Length && _source[at] == mark && char.IsAsciiDigit(_source[at + 1]);

    int EndOfDigits(int at)
    {
        while (at < _source.Length && Digits.Contains(_source[at])) at++;
        while (_source[at - 1] == '_') at--;
        return at;
    }

    bool ReadName()
    {
        var end = _position;
        while (end < _source.Length && (char.IsLetterOrDigit(_source[end]) || _source[end] == '_')) end++;
        if (end == _position) return false;
        Take(SyntaxTokenKind.Name, end);
        return true;
    }

    bool ReadString()
    {
        var quote = _source[_position];
        if (quote is not ('"' or '\'')) return false;
        var end = _position + 1;
        while (end < _source.Length && _source[end] != quote) end += _source[end] == '\\' ? 2 : 1;
        if (end >= _source.Length) throw new TemplateFault("a string is not closed", _line);
        Add(SyntaxTokenKind.String, StringLiteral.Unescape(_source[(_position + 1)..end], _line));
        MoveTo(end + 1);
        return true;
    }

    void ReadOperator(Stack<char> open)
    {
        var symbol = Array.Find(Operators, symbol => string.CompareOrdinal(_source, _position, symbol, 0, symbol.Length) == 0)
            ?? throw new TemplateFault($"unexpected character '{_source[_position]}'", _line);
        switch (symbol)
        {
            case "(" or "[" or "{":
                open.Push(symbol == "(" ? ')' : symbol == "[" ? ']' : '}');
                break;
            case ")" or "]" or "}":
                if (!open.TryPop(out var expected)) throw new TemplateFault($"unexpected '{symbol}'", _line);
                if (expected != symbol[0]) throw new TemplateFault($"unexpected '{symbol}', expected '{expected}'", _line);
                break;
        }
        Take(SyntaxTokenKind.Operator, _position + symbol.Length);
    }

    void Take(SyntaxTokenKind kind, int end)
    {
        Add(kind, _source[_position..end]);
        MoveTo(end);
    }
}

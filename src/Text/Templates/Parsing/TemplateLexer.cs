using LlamaCluster.Text.Templates.Operations;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Parsing;

/// <summary>
/// Cuts a template's source into tokens: text, and what stands in <c>{{ }}</c> and <c>{% %}</c>. White space is handled as Jinja2 does
/// with <c>trim_blocks</c> and <c>lstrip_blocks</c>, which chat templates are written for: the line break after a block tag goes, as does
/// white space before one at the start of a line; <c>-</c> strips all white space on its side and <c>+</c> keeps it.
/// </summary>
sealed partial class TemplateLexer
{
    readonly string _source;
    readonly List<Token> _tokens = [];
    int _position;
    int _line = 1;
    int _counted;
    bool _atLineStart = true;

    TemplateLexer(string source) => _source = source;

    public static List<Token> Tokenize(string source)
    {
        var lexer = new TemplateLexer(WithoutLastLineBreak(source.Replace("\r\n", "\n").Replace('\r', '\n')));
        while (lexer.ReadText()) lexer.ReadTag();
        lexer.Add(TokenKind.End, "");
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
                Add(TokenKind.TagBegin, "");
                ReadTokens('%', TokenKind.TagEnd);
                break;
            default:
                Add(TokenKind.OutputBegin, "");
                ReadTokens('}', TokenKind.OutputEnd);
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

    /// <summary>Where the text after a tag of only this name starts, if there is such a tag.</summary>
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

    /// <summary>The position after a closing tag whose two characters start at <paramref name="at"/> and what its sign strips.</summary>
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
        if (text.Length > 0) Add(TokenKind.Text, text);
    }

    void Add(TokenKind kind, string text) => _tokens.Add(new Token(kind, text, _line));

    void MoveTo(int position)
    {
        if (position > _position) _atLineStart = _source[position - 1] == '\n';
        _line += _source.AsSpan(_counted, position - _counted).Count('\n');
        _position = _counted = position;
    }
}

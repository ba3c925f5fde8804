using System.Buffers;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.Templates.Parsing;

/// <summary>The tokens within tags.</summary>
sealed partial class TemplateLexer
{
    static readonly string[] Operators =
        ["//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"];

    static readonly SearchValues<char> Digits = SearchValues.Create("0123456789_");

    /// <summary>Reads tokens up to the tag's end, which does not count within brackets.</summary>
    void ReadTokens(char closing, TokenKind end)
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
        if (!isAttribute && exponent > end) Take(TokenKind.Float, exponent);
        else Take(TokenKind.Integer, EndOfInteger(end));
        return true;
    }

    /// <summary>0x, 0o and 0b numbers; and a decimal one that starts with 0 is nothing but zeros.</summary>
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
        Take(TokenKind.Name, end);
        return true;
    }

    bool ReadString()
    {
        var quote = _source[_position];
        if (quote is not ('"' or '\'')) return false;
        var end = _position + 1;
        while (end < _source.Length && _source[end] != quote) end += _source[end] == '\\' ? 2 : 1;
        if (end >= _source.Length) throw new TemplateFault("a string is not closed", _line);
        Add(TokenKind.String, StringLiteral.Unescape(_source[(_position + 1)..end], _line));
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
        Take(TokenKind.Operator, _position + symbol.Length);
    }

    void Take(TokenKind kind, int end)
    {
        Add(kind, _source[_position..end]);
        MoveTo(end);
    }
}

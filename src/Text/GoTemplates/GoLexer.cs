using System.Globalization;
using System.Text;
using LlamaCluster.Primitives;

namespace LlamaCluster.Text.GoTemplates;

/// <summary>A piece of a template: its kind, its text (of a string, with escapes resolved), where it begins, and whether white space precedes it.</summary>
readonly record struct GoToken(GoTokenKind Kind, string Text, int At, bool AfterSpace)
{
    public bool IsWord(string word) => Kind == GoTokenKind.Word && Text == word;

    /// <summary>The token as an error shows it.</summary>
    public string Description => Kind switch
    {
        GoTokenKind.Words => "text",
        GoTokenKind.Open => "'{{'",
        GoTokenKind.Close => "'}}'",
        GoTokenKind.String => "a string",
        GoTokenKind.End => "the end of the template",
        _ => ErrorText.Quote(Text),
    };
}

enum GoTokenKind
{
    /// <summary>What stands outside of actions.</summary>
    Words,
    Open,
    Close,
    /// <summary>A name without dot or $: a keyword, constant or function.</summary>
    Word,
    /// <summary>A name behind a dot; its text is the name.</summary>
    Field,
    /// <summary>A name behind a $; its text has the $.</summary>
    Variable,
    Dot,
    String,
    Number,
    /// <summary>One of ( ) | , = and :=.</summary>
    Sign,
    End,
}

/// <summary>Cuts a template's text into tokens.</summary>
sealed class GoLexer
{
    const string OpenMark = "{{", CloseMark = "}}", CommentOpen = "/*", CommentClose = "*/";
    const string Space = " \t\r\n";

    readonly string _text;
    readonly List<GoToken> _tokens = [];
    int _at;

    GoLexer(string text) => _text = text;

    /// <exception cref="GoTemplateException">Something in it is no token.</exception>
    public static IReadOnlyList<GoToken> Read(string text)
    {
        var lexer = new GoLexer(text);
        lexer.ReadAll();
        return lexer._tokens;
    }

    void ReadAll()
    {
        var trims = false;
        while (_text.IndexOf(OpenMark, _at, StringComparison.Ordinal) is >= 0 and var open)
        {
            AddWords(open, trims, TrimsBefore(open));
            _at = open + OpenMark.Length;
            if (TrimsBefore(open)) _at += 2;
            if (IsAt(CommentOpen))
            {
                trims = SkipComment(open);
                continue;
            }
            Add(GoTokenKind.Open, OpenMark, open, afterSpace: false);
            trims = ReadAction(open);
        }
        AddWords(_text.Length, trims, trimsEnd: false);
        Add(GoTokenKind.End, "", _text.Length, afterSpace: false);
    }

    /// <summary>The mark "{{-" trims what stands before it; white space has to follow, since "{{-3}}" is a number.</summary>
    bool TrimsBefore(int open) => open + 3 < _text.Length && _text[open + 2] == '-' && Space.Contains(_text[open + 3]);

    void AddWords(int end, bool trimsStart, bool trimsEnd)
    {
        var words = _text.AsSpan(_at..end);
        if (trimsStart) words = words.TrimStart(Space);
        if (trimsEnd) words = words.TrimEnd(Space);
        if (words.Length > 0) Add(GoTokenKind.Words, words.ToString(), _at, afterSpace: false);
    }

    /// <returns>Whether what follows is trimmed.</returns>
    bool SkipComment(int open)
    {
        var end = _text.IndexOf(CommentClose, _at + CommentOpen.Length, StringComparison.Ordinal);
        if (end < 0) throw Fault("the comment has no end", open);
        _at = end + CommentClose.Length;
        if (TakeClose(out var trims)) return trims;
        throw Fault("a comment must end right before '}}'", open);
    }

    /// <returns>Whether what follows is trimmed.</returns>
    bool ReadAction(int open)
    {
        while (true)
        {
            var start = _at;
            if (TakeClose(out var trims))
            {
                Add(GoTokenKind.Close, CloseMark, start, afterSpace: false);
                return trims;
            }
            while (_at < _text.Length && Space.Contains(_text[_at])) _at++;
            if (_at > start && TakeClose(out trims))
            {
                Add(GoTokenKind.Close, CloseMark, start, afterSpace: true);
                return trims;
            }
            if (_at == _text.Length) throw Fault("the action has no end", open);
            ReadToken(_at, afterSpace: _at > start);
        }
    }

    /// <summary>Takes the end of an action, which may be " -}}".</summary>
    bool TakeClose(out bool trims)
    {
        trims = false;
        if (IsAt(CloseMark))
        {
            _at += CloseMark.Length;
            return true;
        }
        var at = _at;
        while (at < _text.Length && Space.Contains(_text[at])) at++;
        if (at == _at || string.CompareOrdinal(_text, at, "-}}", 0, 3) != 0) return false;
        (_at, trims) = (at + 3, true);
        return true;
    }

    void ReadToken(int start, bool afterSpace)
    {
        var letter = _text[start];
        switch (letter)
        {
            case '(' or ')' or '|' or ',' or '=':
                _at++;
                Add(GoTokenKind.Sign, letter.ToString(), start, afterSpace);
                break;
            case ':' when start + 1 < _text.Length && _text[start + 1] == '=':
                _at += 2;
                Add(GoTokenKind.Sign, ":=", start, afterSpace);
                break;
            case '"':
                Add(GoTokenKind.String, ReadString(), start, afterSpace);
                break;
            case '`':
                var end = _text.IndexOf('`', start + 1);
                if (end < 0) throw Fault("the string has no end", start);
                _at = end + 1;
                Add(GoTokenKind.String, _text[(start + 1)..end].Replace("\r", "", StringComparison.Ordinal), start, afterSpace);
                break;
            case '\'':
                throw Fault("a character in ' ' is not supported: write a string in \" \"", start);
            case '.' when !IsDigit(start + 1):
                _at++;
                var field = TakeName();
                Add(field.Length == 0 ? GoTokenKind.Dot : GoTokenKind.Field, field.Length == 0 ? "." : field, start, afterSpace);
                break;
            case '$':
                _at++;
                Add(GoTokenKind.Variable, "$" + TakeName(), start, afterSpace);
                break;
            case '.' or '+' or '-' or (>= '0' and <= '9'):
                while (_at < _text.Length && IsOfNumber(start)) _at++;
                Add(GoTokenKind.Number, _text[start.._at], start, afterSpace);
                break;
            default:
                if (!IsOfName(letter)) throw Fault($"unexpected character {ErrorText.Quote(letter.ToString())}", start);
                Add(GoTokenKind.Word, TakeName(), start, afterSpace);
                break;
        }
    }

    /// <summary>The name here, perhaps an empty one. What follows it must not look like a part of it.</summary>
    string TakeName()
    {
        var start = _at;
        while (_at < _text.Length && IsOfName(_text[_at])) _at++;
        if (_at < _text.Length && !Space.Contains(_text[_at]) && _text[_at] is not ('.' or ',' or '|' or ':' or '(' or ')') && !IsAt(CloseMark))
            throw Fault($"unexpected character {ErrorText.Quote(_text[_at].ToString())}", _at);
        return _text[start.._at];
    }

    string ReadString()
    {
        var start = _at++;
        var read = new StringBuilder();
        while (_at < _text.Length && _text[_at] is not ('"' or '\n'))
        {
            if (_text[_at] == '\\') ReadEscape(read);
            else read.Append(_text[_at++]);
        }
        if (_at == _text.Length || _text[_at] == '\n') throw Fault("the string has no end on its line", start);
        _at++;
        return read.ToString();
    }

    void ReadEscape(StringBuilder read)
    {
        var start = _at++;
        var letter = _at < _text.Length ? _text[_at++] : '\0';
        const string letters = "abfnrtv\\\"", meanings = "\a\b\f\n\r\t\v\\\"";
        if (letters.IndexOf(letter) is >= 0 and var index) read.Append(meanings[index]);
        else if (letter is 'x' or 'u' or 'U') read.Append(CodePoint(letter switch { 'x' => 2, 'u' => 4, _ => 8 }, start));
        else throw Fault($"the escape {ErrorText.Quote("\\" + letter)} is not supported", start);
    }

    /// <summary>A character by its number. One byte of a longer character, which \x can be in Go, is not supported.</summary>
    string CodePoint(int digits, int start)
    {
        if (_at + digits > _text.Length
            || !int.TryParse(_text.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number)
            || !Rune.IsValid(number) || digits == 2 && number > 0x7f)
            throw Fault("the escape is no character", start);
        _at += digits;
        return new Rune(number).ToString();
    }

    bool IsAt(string mark) => string.CompareOrdinal(_text, _at, mark, 0, mark.Length) == 0;

    bool IsDigit(int at) => at < _text.Length && char.IsAsciiDigit(_text[at]);

    bool IsOfNumber(int start) => char.IsAsciiLetterOrDigit(_text[_at]) || _text[_at] is '.' or '_'
        || _text[_at] is '+' or '-' && (_at == start || _text[_at - 1] is 'e' or 'E');

    static bool IsOfName(char letter) => letter == '_' || char.IsLetter(letter) || char.IsDigit(letter);

    void Add(GoTokenKind kind, string text, int at, bool afterSpace) => _tokens.Add(new GoToken(kind, text, at, afterSpace));

    GoTemplateException Fault(string reason, int at) => GoTemplateException.At(reason, _text, at);
}

using System.Globalization;
using System.Text;

namespace LlamaCluster.Text.Answers;

/// <summary>
/// Writes a value of Python as JSON while it comes: strings of all quotes, numbers, True, False and None, lists, tuples and dictionaries. A word that
/// is none of these becomes a string.
/// </summary>
sealed class PythonValue(PieceWriter pieces)
{
    readonly Stack<char> _open = [];           // closing brackets, as JSON writes them
    readonly StringBuilder _word = new();
    readonly StringBuilder _escape = new();    // hexadecimal digits of \x or \u
    Place _place = Place.Between;
    char _quote;
    int _quotes;            // of one kind in a row: at a string's start, or within a long one
    bool _isLong;           // three quotes
    bool _comma;            // written before the next element, so that none is left at the end of a list
    int _digits;            // that the escape has

    enum Place
    {
        Between,
        Word,
        Opening,
        Text,
        Backslash,
        Digits,
    }

    /// <returns>False for the comma or bracket behind the value, which is no part of it.</returns>
    public bool Take(char letter)
    {
        switch (_place)
        {
            case Place.Word when char.IsLetterOrDigit(letter) || letter is '_' or '.' or '+' or '-':
                _word.Append(letter);
                return true;
            case Place.Word:
                EndWord();
                return TakeBetween(letter);
            case Place.Opening:
                return TakeOpening(letter);
            case Place.Text:
                TakeInText(letter);
                return true;
            case Place.Backslash:
                TakeEscape(letter);
                return true;
            case Place.Digits:
                TakeDigit(letter);
                return true;
            default:
                return TakeBetween(letter);
        }
    }

    bool TakeBetween(char letter)
    {
        switch (letter)
        {
            case ',' or ')' or ']' or '}' when _open.Count == 0:
                return false;
            case ',':
                _comma = true;
                return true;
            case ')' or ']' or '}':
                _comma = false;
                pieces.Argument(_open.Pop());
                return true;
            case ':':
                pieces.Argument(": ");
                return true;
        }
        if (char.IsWhiteSpace(letter)) return true;
        if (_comma) pieces.Argument(", ");
        _comma = false;
        switch (letter)
        {
            case '[' or '(':
                Open('[', ']');
                break;
            case '{':
                Open('{', '}');
                break;
            case '"' or '\'':
                (_quote, _quotes, _isLong, _place) = (letter, 1, false, Place.Opening);
                pieces.Argument('"');
                break;
            default:
                _word.Clear().Append(letter);
                _place = Place.Word;
                break;
        }
        return true;
    }

    void Open(char bracket, char closing)
    {
        pieces.Argument(bracket);
        _open.Push(closing);
    }

    /// <summary>One quote opens a string, two are an empty one, three open a long one.</summary>
    bool TakeOpening(char letter)
    {
        if (letter == _quote && ++_quotes < 3) return true;
        if (_quotes == 3)
        {
            (_isLong, _quotes, _place) = (true, 0, Place.Text);
            return true;
        }
        if (_quotes == 2)
        {
            pieces.Argument('"');
            _place = Place.Between;
            return TakeBetween(letter);
        }
        (_quotes, _place) = (0, Place.Text);
        TakeInText(letter);
        return true;
    }

    void TakeInText(char letter)
    {
        if (letter == _quote)
        {
            if (_isLong && ++_quotes < 3) return;
            pieces.Argument('"');
            _place = Place.Between;
            return;
        }
        for (; _quotes > 0; _quotes--) pieces.Argument(JsonLetter.Escape(_quote));
        if (letter == '\\') _place = Place.Backslash;
        else pieces.Argument(JsonLetter.Escape(letter));
    }

    void TakeEscape(char letter)
    {
        _place = Place.Text;
        switch (letter)
        {
            case '\n':
                break;   // a line that goes on in the next
            case 'n' or 't' or 'r' or 'b' or 'f' or '"' or '\\':
                pieces.Argument('\\');
                pieces.Argument(letter);
                break;
            case '\'':
                pieces.Argument('\'');
                break;
            case 'x' or 'u':
                _escape.Clear();
                (_digits, _place) = (letter == 'x' ? 2 : 4, Place.Digits);
                break;
            default:
                pieces.Argument("\\\\");
                pieces.Argument(JsonLetter.Escape(letter));
                break;
        }
    }

    void TakeDigit(char letter)
    {
        _escape.Append(char.IsAsciiHexDigit(letter) ? letter : '0');
        if (_escape.Length < _digits) return;
        pieces.Argument("\\u");
        pieces.Argument(_escape.ToString().PadLeft(4, '0'));
        _place = Place.Text;
    }

    void EndWord()
    {
        _place = Place.Between;
        var word = _word.ToString();
        switch (word)
        {
            case "True" or "true":
                pieces.Argument("true");
                break;
            case "False" or "false":
                pieces.Argument("false");
                break;
            case "None" or "null":
                pieces.Argument("null");
                break;
            default:
                if (long.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole))
                    pieces.Argument(whole.ToString(CultureInfo.InvariantCulture));
                else if (double.TryParse(word, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number))
                    pieces.Argument(number.ToString("R", CultureInfo.InvariantCulture));
                else
                    WriteAsText(word);
                break;
        }
    }

    void WriteAsText(string word)
    {
        pieces.Argument('"');
        foreach (var letter in word) pieces.Argument(JsonLetter.Escape(letter));
        pieces.Argument('"');
    }
}

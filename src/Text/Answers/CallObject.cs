using System.Text;

namespace LlamaCluster.Text.Answers;

/// <summary>
/// Reads one call that is written as a JSON object: {"name": ..., "arguments": {...}}, with "parameters" for the second as Llama writes it, in any
/// order, perhaps with a "type" or an "id". The text of the arguments is passed on as it stands while it comes; arguments in a string are taken out of it.
/// </summary>
sealed class CallObject(PieceWriter pieces, FunctionNames functions)
{
    const int LongestKey = 16;

    readonly StringBuilder _word = new();       // a key, a name, or a value that is skipped
    readonly StringBuilder _early = new();      // arguments that came before the name
    readonly JsonStringReader _string = new();
    Place _place = Place.Start;
    string _key = "";
    string? _name;
    bool _hasArguments;
    bool _wrote;   // something of the arguments
    JsonNesting _nesting;
    bool _escaped;

    enum Place
    {
        Start,
        FirstKey,
        KeyStart,
        Key,
        Colon,
        ValueStart,
        Name,
        Skipped,
        SkippedText,
        Arguments,
        ArgumentsText,
        AfterValue,
    }

    /// <returns><see cref="Reading.Ended"/> with the closing bracket.</returns>
    public Reading Take(char letter)
    {
        switch (_place)
        {
            case Place.Key:
                return TakeInKey(letter);
            case Place.Name:
                return TakeInName(letter);
            case Place.Arguments:
                return TakeInArguments(letter);
            case Place.ArgumentsText:
                return TakeInArgumentsText(letter);
            case Place.SkippedText:
                if (!_escaped && letter == '"') _place = Place.AfterValue;
                _escaped = !_escaped && letter == '\\';
                return Reading.Within;
            case Place.Skipped when char.IsAsciiLetterOrDigit(letter) || letter is '-' or '+' or '.':
                return Reading.Within;
            case Place.Skipped:
                _place = Place.AfterValue;
                break;
        }
        return char.IsWhiteSpace(letter) ? Reading.Within : TakeBetween(letter);
    }

    Reading TakeBetween(char letter)
    {
        switch (_place, letter)
        {
            case (Place.Start, '{'):
                _place = Place.FirstKey;
                return Reading.Within;
            case (Place.FirstKey or Place.KeyStart, '"'):
                _word.Clear();
                _place = Place.Key;
                return Reading.Within;
            case (Place.Colon, ':'):
                _place = Place.ValueStart;
                return Reading.Within;
            case (Place.ValueStart, _):
                return BeginValue(letter);
            case (Place.AfterValue, ','):
                _place = Place.KeyStart;
                return Reading.Within;
            case (Place.AfterValue, '}') when _name is not null:
                if (!pieces.InCall) Begin();
                if (!_wrote) pieces.Argument("{}");
                pieces.EndCall();
                return Reading.Ended;
            default:
                return Reading.Refused;
        }
    }

    Reading TakeInKey(char letter)
    {
        if (letter == '"')
        {
            _key = _word.ToString();
            _place = Place.Colon;
            return _key is "name" or "function" or "arguments" or "parameters" or "type" or "id" ? Reading.Within : Reading.Refused;
        }
        _word.Append(letter);
        return _word.Length <= LongestKey ? Reading.Within : Reading.Refused;
    }

    Reading BeginValue(char letter)
    {
        var isArguments = _key is "arguments" or "parameters";
        switch (letter)
        {
            case '"' when isArguments && !_hasArguments:
                _hasArguments = true;
                _string.Clear();
                _place = Place.ArgumentsText;
                if (_name is not null) Begin();
                return Reading.Within;
            case '"' when _key is "name" or "function" && _name is null:
                _word.Clear();
                _place = Place.Name;
                return Reading.Within;
            case '"':
                _escaped = false;
                _place = Place.SkippedText;
                return Reading.Within;
            case '{' when isArguments && !_hasArguments:
                _hasArguments = true;
                _place = Place.Arguments;
                if (_name is not null) Begin();
                return TakeInArguments(letter);
            case '{' or '[' or '}' or ']' or ',' or ':':
                return Reading.Refused;
            default:
                _place = Place.Skipped;
                return char.IsAsciiLetterOrDigit(letter) || letter == '-' ? Reading.Within : Reading.Refused;
        }
    }

    Reading TakeInName(char letter)
    {
        if (letter != '"')
        {
            _word.Append(letter);
            return _word.Length <= 128 && letter is not ('\\' or '\n') ? Reading.Within : Reading.Refused;
        }
        _name = _word.ToString();
        _place = Place.AfterValue;
        if (!functions.Allow(_name)) return Reading.Refused;
        if (_hasArguments) Begin();
        return Reading.Within;
    }

    Reading TakeInArguments(char letter)
    {
        Argument(letter);
        if (_nesting.Closes(letter)) _place = Place.AfterValue;
        return Reading.Within;
    }

    Reading TakeInArgumentsText(char letter)
    {
        switch (_string.Take(letter))
        {
            case { } content:
                Argument(content);
                return Reading.Within;
            case null when _string.Ended:
                _place = Place.AfterValue;
                return Reading.Within;
            default:
                return Reading.Within;
        }
    }

    void Argument(char letter)
    {
        _wrote = true;
        if (_name is null) _early.Append(letter);
        else pieces.Argument(letter);
    }

    void Begin()
    {
        pieces.BeginCall(_name!);
        pieces.Argument(_early.ToString());
        _early.Clear();
    }
}

/// <summary>Takes the content out of a JSON string, character by character.</summary>
sealed class JsonStringReader
{
    bool _escaped;
    int _digits = -1;   // of \uXXXX, that have come
    int _unit;

    /// <summary>The closing quote has come.</summary>
    public bool Ended { get; private set; }

    public void Clear() => (_escaped, _digits, _unit, Ended) = (false, -1, 0, false);

    /// <returns>A character of the content; null where none is complete.</returns>
    public char? Take(char letter)
    {
        if (_digits >= 0)
        {
            _unit = _unit * 16 + (char.IsAsciiHexDigit(letter) ? Convert.ToInt32(letter.ToString(), 16) : 0);
            if (++_digits < 4) return null;
            _digits = -1;
            return (char)_unit;
        }
        if (_escaped)
        {
            _escaped = false;
            if (letter == 'u') (_digits, _unit) = (0, 0);
            return letter switch { 'n' => '\n', 't' => '\t', 'r' => '\r', 'b' => '\b', 'f' => '\f', 'u' => null, _ => letter };
        }
        _escaped = letter == '\\';
        Ended = letter == '"';
        return _escaped || Ended ? null : letter;
    }
}

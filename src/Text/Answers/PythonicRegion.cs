using System.Text;

namespace LlamaCluster.Text.Answers;

/// <summary>Calls as Python writes them, in a list: [f(a=1, b="x"), g()]. The arguments become the text of a JSON object while they come.</summary>
/// <param name="isList">A list of calls; otherwise one call without brackets, as behind &lt;|python_tag|>: f.call(a=1).</param>
sealed class PythonicRegion(PieceWriter pieces, FunctionNames functions, bool isList) : CallRegion(pieces)
{
    const string CallSuffix = ".call";

    readonly StringBuilder _word = new();   // a function's name, or an argument's
    PythonValue? _value;
    Place _place = isList ? Place.Start : Place.Name;
    int _arguments;

    enum Place
    {
        Start,
        BeforeCall,
        Name,
        BeforeArgument,
        Argument,
        AfterArgument,
        Value,
        AfterCall,
    }

    public override Reading Take(char letter)
    {
        switch (_place)
        {
            case Place.Name:
                return TakeInName(letter);
            case Place.Argument when IsNameLetter(letter) && _word.Length < LongestName:
                _word.Append(letter);
                return Reading.Within;
            case Place.Argument:
                _place = Place.AfterArgument;
                break;
            case Place.Value:
                return TakeInValue(letter);
        }
        return char.IsWhiteSpace(letter) ? Reading.Within : TakeBetween(letter);
    }

    Reading TakeBetween(char letter)
    {
        switch (_place, letter)
        {
            case (Place.Start, '['):
                _place = Place.BeforeCall;
                return Reading.Within;
            case (Place.BeforeCall, _) when IsNameLetter(letter):
                _word.Clear().Append(letter);
                _place = Place.Name;
                return Reading.Within;
            case (Place.BeforeArgument, ')'):
                return EndCall();
            case (Place.BeforeArgument, _) when IsNameLetter(letter):
                _word.Clear().Append(letter);
                _place = Place.Argument;
                return Reading.Within;
            case (Place.AfterArgument, '='):
                Pieces.Argument(_arguments++ == 0 ? "{\"" : ", \"");
                Pieces.Argument(_word.ToString());
                Pieces.Argument("\": ");
                _value = new PythonValue(Pieces);
                _place = Place.Value;
                return Reading.Within;
            case (Place.AfterCall, ','):
                _place = Place.BeforeCall;
                return Reading.Within;
            case (Place.AfterCall or Place.BeforeCall, ']') when Pieces.Calls > 0:
                return Reading.Ended;
            default:
                return Broken();
        }
    }

    Reading TakeInName(char letter)
    {
        if (IsNameLetter(letter) && _word.Length < LongestName)
        {
            _word.Append(letter);
            return Reading.Within;
        }
        var name = _word.ToString();
        if (!isList) name = name.EndsWith(CallSuffix, StringComparison.Ordinal) ? name[..^CallSuffix.Length] : "";
        if (letter != '(' || !functions.Allow(name)) return Broken();
        Pieces.BeginCall(name);
        (_place, _arguments) = (Place.BeforeArgument, 0);
        return Reading.Within;
    }

    Reading TakeInValue(char letter)
    {
        if (_value!.Take(letter)) return Reading.Within;
        if (letter == ')') return EndCall();
        _place = Place.BeforeArgument;
        return letter == ',' ? Reading.Within : Broken();
    }

    Reading EndCall()
    {
        Pieces.Argument(_arguments == 0 ? "{}" : "}");
        Pieces.EndCall();
        _place = Place.AfterCall;
        return isList ? Reading.Within : Reading.Ended;
    }
}

/// <summary>A list in brackets at the start of a line: of calls as Python writes them, or of JSON objects.</summary>
sealed class BracketRegion(PieceWriter pieces, FunctionNames functions) : CallRegion(pieces)
{
    CallRegion? _inner;
    bool _opened;

    public override Reading Take(char letter)
    {
        if (_inner is not null) return _inner.Take(letter);
        if (!_opened)
        {
            _opened = true;
            return letter == '[' ? Reading.Within : Reading.Refused;
        }
        if (char.IsWhiteSpace(letter)) return Reading.Within;
        _inner = letter == '{' ? new JsonCallsRegion(Pieces, functions, closingMark: "") : new PythonicRegion(Pieces, functions, isList: true);
        _inner.Take('[');
        return _inner.Take(letter);
    }
}

/// <summary>What follows &lt;|python_tag|>: calls as JSON, a call of a built-in tool as name.call(argument="..."), or a program for an interpreter.</summary>
sealed class PythonTagRegion(PieceWriter pieces, FunctionNames functions) : CallRegion(pieces)
{
    /// <summary>Names under which clients offer an interpreter of Python. Its one argument is called "code".</summary>
    static readonly string[] Interpreters = ["code_interpreter", "python", "ipython"];

    readonly StringBuilder _start = new();   // what may be the name of a built-in tool
    CallRegion? _inner;
    bool _isCode;

    public override Reading Take(char letter)
    {
        if (_isCode) return WriteCode(letter);
        if (_inner is not null) return _inner.Take(letter);
        if (_start.Length == 0 && char.IsWhiteSpace(letter)) return Reading.Within;
        if (_start.Length == 0 && letter is '{' or '[')
        {
            _inner = letter == '{' ? new JsonCallsRegion(Pieces, functions, closingMark: "") : new BracketRegion(Pieces, functions);
            return _inner.Take(letter);
        }
        _start.Append(letter);
        if (IsNameLetter(letter) && _start.Length <= LongestName) return Reading.Within;
        if (letter == '(' && _start.ToString().EndsWith(".call(", StringComparison.Ordinal)) return BeginBuiltIn();
        return BeginCode();
    }

    public override void End()
    {
        if (_inner is null && !_isCode && _start.Length > 0) BeginCode();
        if (_isCode) Pieces.Argument("\"}");
        base.End();
    }

    Reading BeginBuiltIn()
    {
        _inner = new PythonicRegion(Pieces, functions, isList: false);
        var reading = Reading.Within;
        for (var at = 0; at < _start.Length && reading is Reading.Within; at++) reading = _inner.Take(_start[at]);
        return reading;
    }

    Reading BeginCode()
    {
        if (Array.Find(Interpreters, functions.Known.Contains) is not { } interpreter) return Reading.Refused;
        Pieces.BeginCall(interpreter);
        Pieces.Argument("{\"code\": \"");
        _isCode = true;
        for (var at = 0; at < _start.Length; at++) WriteCode(_start[at]);
        return Reading.Within;
    }

    Reading WriteCode(char letter)
    {
        Pieces.Argument(JsonLetter.Escape(letter));
        return Reading.Within;
    }
}

/// <summary>A character within a JSON string.</summary>
static class JsonLetter
{
    public static string Escape(char letter) => letter switch
    {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        < ' ' => $"\\u{(int)letter:x4}",
        _ => letter.ToString(),
    };
}

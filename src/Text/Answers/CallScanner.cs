using System.Text;

namespace LlamaCluster.Text.Answers;

/// <summary>
/// Finds calls in an answer's text. A call begins with a mark, anywhere, or in Llama's formats with the opening bracket of a call that stands at the
/// start of a line and names a known function. White space beside calls is no text.
/// </summary>
sealed class CallScanner
{
    readonly PieceWriter _pieces;
    readonly (string Mark, Func<CallRegion> Open)[] _marks;
    readonly Dictionary<char, Func<CallRegion>> _brackets = [];
    readonly StringBuilder _spaces = new();   // white space that is text if text follows
    readonly StringBuilder _mark = new();     // what may become a mark
    readonly StringBuilder _raw = new();      // of the region: what no call has used
    CallRegion? _region;
    int _callsBefore;                         // the region
    bool _lineStart = true;

    public CallScanner(ToolFormat format, IReadOnlySet<string> functions, PieceWriter pieces)
    {
        _pieces = pieces;
        var known = new FunctionNames(functions, Any: false);
        var any = new FunctionNames(functions, Any: true);
        _marks = format is ToolFormat.Hermes
            ? [("<tool_call>", () => new JsonCallsRegion(pieces, any, "</tool_call>"))]
            : [("<|python_tag|>", () => new PythonTagRegion(pieces, any)), ("<function=", () => new FunctionTagRegion(pieces, any))];
        if (format is ToolFormat.Hermes) return;
        _brackets['{'] = () => new JsonCallsRegion(pieces, known, closingMark: "");
        _brackets['['] = () => new BracketRegion(pieces, known);
    }

    public void Take(char letter)
    {
        if (_region is not null) TakeInRegion(letter);
        else if (_mark.Length > 0) TakeInMark(letter);
        else TakeInText(letter);
    }

    /// <summary>No more text comes.</summary>
    public void End()
    {
        if (_region is { } region)
        {
            _region = null;
            region.End();
            if (_pieces.Calls == _callsBefore) WriteText(_raw);
        }
        else if (_mark.Length > 0)
        {
            WriteText(_mark);
        }
        if (_pieces.Calls == 0) _pieces.Text(_spaces);
        _raw.Clear();
        _mark.Clear();
        _spaces.Clear();
    }

    void TakeInText(char letter)
    {
        if (char.IsWhiteSpace(letter))
        {
            _spaces.Append(letter);
            if (letter == '\n') _lineStart = true;
        }
        else if (_lineStart && _brackets.TryGetValue(letter, out var open))
        {
            Enter(open, letter);
        }
        else if (letter == '<')
        {
            _mark.Append(letter);
        }
        else
        {
            WriteText(letter);
        }
    }

    /// <summary>All marks begin with '&lt;' and have no other one, so that what fails to become a mark holds no start of another.</summary>
    void TakeInMark(char letter)
    {
        var isStart = false;
        foreach (var (mark, open) in _marks)
        {
            if (_mark.Length >= mark.Length || mark[_mark.Length] != letter || !_mark.Equals(mark.AsSpan(0, _mark.Length))) continue;
            isStart = true;
            if (mark.Length > _mark.Length + 1) continue;
            foreach (var held in mark.AsSpan(0, _mark.Length)) _raw.Append(held);
            _mark.Clear();
            Enter(open, letter, isMark: true);
            return;
        }
        if (isStart)
        {
            _mark.Append(letter);
            return;
        }
        WriteText(_mark);
        _mark.Clear();
        TakeInText(letter);
    }

    /// <param name="isMark">The character ends the mark; otherwise it is the region's first.</param>
    void Enter(Func<CallRegion> open, char letter, bool isMark = false)
    {
        (_region, _callsBefore) = (open(), _pieces.Calls);
        if (isMark) _raw.Append(letter);
        else TakeInRegion(letter);
    }

    void TakeInRegion(char letter)
    {
        var (calls, inCall) = (_pieces.Calls, _pieces.InCall);
        var reading = _region!.Take(letter);
        var used = inCall || _pieces.InCall || _pieces.Calls != calls;
        if (_pieces.Calls != calls) _spaces.Clear();
        if (used) _raw.Clear();
        switch (reading)
        {
            case Reading.Within:
                if (!used) _raw.Append(letter);
                break;
            case Reading.Ended:
                Leave();
                break;
            case Reading.Refused:
                WriteText(_raw);
                var opensLine = _raw.ToString().TrimEnd(' ', '\t').EndsWith('\n');
                Leave();
                _lineStart = opensLine;
                Take(letter);
                break;
            case Reading.EndedBefore:
                // White space, commas, or the start of a mark that is another one: all of it short.
                var rest = _raw.ToString();
                Leave();
                foreach (var held in rest) Take(held);
                Take(letter);
                break;
        }
    }

    void Leave()
    {
        _region = null;
        _lineStart = true;
        _raw.Clear();
    }

    void WriteText(char letter)
    {
        _pieces.Text(_spaces);
        _spaces.Clear();
        _pieces.Text(letter);
        _lineStart = false;
    }

    void WriteText(StringBuilder letters)
    {
        if (letters.Length == 0) return;
        _pieces.Text(_spaces);
        _spaces.Clear();
        _pieces.Text(letters);
        _lineStart = false;
    }
}

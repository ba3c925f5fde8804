namespace LlamaCluster.Text.Answers;

/// <summary>
/// Calls that are JSON objects: one, several with ';', ',' or white space between them, or a list of them. In tags, a closing mark follows.
/// </summary>
/// <param name="closingMark">Empty where the calls stand without tags.</param>
sealed class JsonCallsRegion(PieceWriter pieces, FunctionNames functions, string closingMark) : CallRegion(pieces)
{
    CallObject? _object;
    bool _isList;
    int _read;      // objects
    int _matched;   // characters of the closing mark

    public override Reading Take(char letter)
    {
        if (_object is not null) return TakeInObject(letter);
        if (_matched > 0) return TakeInMark(letter);
        switch (letter)
        {
            case '{':
                _object = new CallObject(Pieces, functions);
                return TakeInObject(letter);
            case '[' when _read == 0 && !_isList:
                _isList = true;
                return Reading.Within;
            case ']' when _read > 0 && _isList:
                _isList = false;
                return closingMark.Length == 0 ? Reading.Ended : Reading.Within;
            case ',' or ';' when _read > 0:
                return Reading.Within;
            default:
                if (char.IsWhiteSpace(letter)) return Reading.Within;
                if (closingMark.Length > 0 && _read > 0 && letter == closingMark[0]) return TakeInMark(letter);
                return _read > 0 ? Reading.EndedBefore : Reading.Refused;
        }
    }

    Reading TakeInObject(char letter)
    {
        switch (_object!.Take(letter))
        {
            case Reading.Ended:
                _object = null;
                _read++;
                return Reading.Within;
            case Reading.Refused:
                return Broken();
            default:
                return Reading.Within;
        }
    }

    Reading TakeInMark(char letter)
    {
        if (letter != closingMark[_matched]) return Reading.EndedBefore;
        return ++_matched == closingMark.Length ? Reading.Ended : Reading.Within;
    }
}

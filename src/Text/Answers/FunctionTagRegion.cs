using System.Text;

namespace LlamaCluster.Text.Answers;

/// <summary>A call in a tag, behind "&lt;function=": name>{"argument": value}&lt;/function>. The arguments are passed on as they stand.</summary>
sealed class FunctionTagRegion(PieceWriter pieces, FunctionNames functions) : CallRegion(pieces)
{
    const string ClosingMark = "</function>";

    readonly StringBuilder _name = new();
    Place _place = Place.Name;
    JsonNesting _nesting;
    int _matched;   // characters of the closing mark

    enum Place
    {
        Name,
        BeforeArguments,
        Arguments,
        Close,
    }

    public override Reading Take(char letter)
    {
        switch (_place)
        {
            case Place.Name:
                return TakeInName(letter);
            case Place.BeforeArguments when char.IsWhiteSpace(letter):
                return Reading.Within;
            case Place.BeforeArguments when letter == '{':
                Pieces.BeginCall(_name.ToString());
                _place = Place.Arguments;
                return TakeInArguments(letter);
            case Place.BeforeArguments when letter == '<':
                Pieces.BeginCall(_name.ToString());
                Pieces.Argument("{}");
                Pieces.EndCall();
                _place = Place.Close;
                return TakeInMark(letter);
            case Place.BeforeArguments:
                return Reading.Refused;
            case Place.Arguments:
                return TakeInArguments(letter);
            default:
                return _matched == 0 && char.IsWhiteSpace(letter) ? Reading.Within : TakeInMark(letter);
        }
    }

    Reading TakeInName(char letter)
    {
        if (letter == '>')
        {
            _place = Place.BeforeArguments;
            return functions.Allow(_name.ToString()) ? Reading.Within : Reading.Refused;
        }
        _name.Append(letter);
        return IsNameLetter(letter) && _name.Length <= LongestName ? Reading.Within : Reading.Refused;
    }

    Reading TakeInArguments(char letter)
    {
        Pieces.Argument(letter);
        if (!_nesting.Closes(letter)) return Reading.Within;
        Pieces.EndCall();
        _place = Place.Close;
        return Reading.Within;
    }

    Reading TakeInMark(char letter)
    {
        if (letter != ClosingMark[_matched]) return Reading.EndedBefore;
        return ++_matched == ClosingMark.Length ? Reading.Ended : Reading.Within;
    }
}

using System.Text;

namespace LlamaCluster.Text.Answers;

/// <summary>
/// Finds the reasoning that an answer begins with: what is between &lt;think&gt; and &lt;/think&gt;. White space around it is part of neither
/// the reasoning nor the answer.
/// </summary>
/// <param name="opened">The prompt has the opening mark already.</param>
/// <param name="answer">Takes the characters of the answer.</param>
sealed class ReasoningSplitter(bool opened, PieceWriter pieces, Action<char> answer)
{
    public const string Open = "<think>";
    public const string Close = "</think>";

    readonly StringBuilder _held = new();   // white space, and what may be the start of a mark
    int _matched;                           // characters of the mark that is looked for
    bool _begun;                            // some reasoning has been given
    Place _place = Place.Before;

    enum Place
    {
        Before,
        Inside,
        BehindMark,
        Over,
    }

    /// <summary>The reasoning is over, or there is none. All that follows is the answer.</summary>
    public bool Over => _place is Place.Over;

    public void Take(char letter)
    {
        switch (_place)
        {
            case Place.Before:
                TakeBefore(letter);
                break;
            case Place.Inside:
                TakeInside(letter);
                break;
            default:
                if (char.IsWhiteSpace(letter)) break;
                _place = Place.Over;
                answer(letter);
                break;
        }
    }

    /// <summary>No more text comes.</summary>
    public void End()
    {
        if (_place is Place.Before) LeaveBefore();
        else if (_place is Place.Inside) FlushInside();
        _place = Place.Over;
    }

    void TakeBefore(char letter)
    {
        _held.Append(letter);
        if (_matched == 0 && char.IsWhiteSpace(letter)) return;
        if (letter == Open[_matched])
        {
            if (++_matched < Open.Length) return;
            _held.Clear();
            (_place, _matched) = (Place.Inside, 0);
        }
        else
        {
            LeaveBefore();
        }
    }

    /// <summary>There is no opening mark.</summary>
    void LeaveBefore()
    {
        var held = _held.ToString();
        _held.Clear();
        _matched = 0;
        _place = opened ? Place.Inside : Place.Over;
        foreach (var letter in held)
        {
            if (_place is Place.Over) answer(letter);
            else Take(letter);
        }
    }

    void TakeInside(char letter)
    {
        if (letter != Close[_matched] && _matched > 0) EndMatch();
        if (letter == Close[_matched])
        {
            _held.Append(letter);
            if (++_matched < Close.Length) return;
            _held.Clear();
            (_place, _matched) = (Place.BehindMark, 0);
        }
        else if (char.IsWhiteSpace(letter))
        {
            _held.Append(letter);
        }
        else
        {
            FlushInside();
            _begun = true;
            pieces.Reasoning(letter);
        }
    }

    /// <summary>What looked like the start of the closing mark is reasoning.</summary>
    void EndMatch()
    {
        FlushInside();
        _matched = 0;
    }

    void FlushInside()
    {
        for (var at = 0; at < _held.Length; at++)
        {
            if (!_begun && char.IsWhiteSpace(_held[at])) continue;
            _begun = true;
            pieces.Reasoning(_held[at]);
        }
        _held.Clear();
    }
}

namespace LlamaCluster.Text.Answers;

/// <summary>
/// Tells reasoning and calls of functions from the words of an answer, while it comes. Text is held back only as long as it may turn out to be
/// the start of something else. The pieces' contents do not depend on how the text is cut. What looks like a call and is none stays text. Serves
/// one answer; not thread-safe.
/// </summary>
public sealed class AnswerParser
{
    readonly PieceWriter _pieces = new();
    readonly ReasoningSplitter? _reasoning;
    readonly CallScanner? _calls;
    readonly bool _singleCall;

    public AnswerParser(AnswerFormat format)
    {
        _calls = format.Tools is { } tools ? new CallScanner(tools, format.Functions, _pieces) : null;
        _reasoning = format.Reasoning is ReasoningPlace.None ? null : new ReasoningSplitter(format.Reasoning is ReasoningPlace.Opened, _pieces, Answer);
        _singleCall = format.SingleCall;
    }

    /// <summary>Calls that have begun.</summary>
    public int Calls => _pieces.Calls;

    /// <summary>The answer has had the one call that it may have, and ends here.</summary>
    public bool Ended => _singleCall && Calls > 0 && !_pieces.InCall;

    /// <summary>Takes text and returns what is now certain.</summary>
    public IReadOnlyList<AnswerPiece> Append(string text)
    {
        foreach (var letter in text)
        {
            if (Ended) break;
            if (_reasoning is { Over: false }) _reasoning.Take(letter);
            else Answer(letter);
        }
        return _pieces.Take();
    }

    /// <summary>No more text comes: the rest.</summary>
    public IReadOnlyList<AnswerPiece> End()
    {
        _reasoning?.End();
        _calls?.End();
        return _pieces.Take(final: true);
    }

    void Answer(char letter)
    {
        if (_calls is not null) _calls.Take(letter);
        else _pieces.Text(letter);
    }
}

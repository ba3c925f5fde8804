using System.Security.Cryptography;
using System.Text;

namespace LlamaCluster.Text.Answers;

/// <summary>
/// Puts an answer's pieces together from characters. Characters of one kind that come one after the other are one piece. Half of a surrogate
/// pair waits for its other half.
/// </summary>
sealed class PieceWriter
{
    const string IdLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const int IdLength = 24;

    readonly List<AnswerPiece> _pieces = [];
    readonly StringBuilder _run = new();
    Kind _kind;

    enum Kind
    {
        Text,
        Reasoning,
        Arguments,
    }

    /// <summary>Calls that have begun.</summary>
    public int Calls { get; private set; }

    /// <summary>A call has begun and not ended.</summary>
    public bool InCall { get; private set; }

    public void Text(char letter) => Add(Kind.Text, letter);

    public void Text(StringBuilder letters)
    {
        for (var at = 0; at < letters.Length; at++) Add(Kind.Text, letters[at]);
    }

    public void Reasoning(char letter) => Add(Kind.Reasoning, letter);

    public void Argument(char letter) => Add(Kind.Arguments, letter);

    public void Argument(string letters)
    {
        foreach (var letter in letters) Add(Kind.Arguments, letter);
    }

    public void BeginCall(string name)
    {
        EndRun(final: true);
        _pieces.Add(new AnswerPiece.CallBegun(Calls++, $"call_{RandomNumberGenerator.GetString(IdLetters, IdLength)}", name));
        InCall = true;
    }

    public void EndCall()
    {
        if (!InCall) return;
        EndRun(final: true);
        _pieces.Add(new AnswerPiece.CallEnded(Calls - 1));
        InCall = false;
    }

    /// <summary>The pieces since the last time.</summary>
    /// <param name="final">Nothing more comes.</param>
    public IReadOnlyList<AnswerPiece> Take(bool final = false)
    {
        EndRun(final);
        if (_pieces.Count == 0) return [];
        AnswerPiece[] taken = [.. _pieces];
        _pieces.Clear();
        return taken;
    }

    void Add(Kind kind, char letter)
    {
        if (kind != _kind) EndRun(final: true);
        _kind = kind;
        _run.Append(letter);
    }

    void EndRun(bool final)
    {
        var length = _run.Length;
        if (!final && length > 0 && char.IsHighSurrogate(_run[length - 1])) length--;
        if (length == 0) return;
        var words = _run.ToString(0, length);
        _run.Remove(0, length);
        _pieces.Add(_kind switch
        {
            Kind.Reasoning => new AnswerPiece.Reasoning(words),
            Kind.Arguments => new AnswerPiece.CallArguments(Calls - 1, words),
            _ => new AnswerPiece.Text(words),
        });
    }
}

using System.Text;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.Choices;

/// <summary>A choice put together from its deltas.</summary>
sealed class WholeChoice
{
    readonly StringBuilder _text = new();
    readonly StringBuilder _reasoning = new();
    readonly List<WholeCall> _calls = [];
    readonly List<TokenScore> _scores = [];

    /// <summary>Calls that the model wrote to their end.</summary>
    public int CallsEnded { get; private set; }

    public string Text => _text.ToString();

    /// <summary>Empty where there was none.</summary>
    public string Reasoning => _reasoning.ToString();

    public IReadOnlyList<WholeCall> Calls => _calls;

    public IReadOnlyList<TokenScore> Scores => _scores;

    public ChoiceEnd? End { get; private set; }

    public void Add(ChoiceDelta delta)
    {
        foreach (var piece in delta.Pieces) Add(piece);
        _scores.AddRange(delta.Scores);
        End = delta.End;
    }

    void Add(AnswerPiece piece)
    {
        switch (piece)
        {
            case AnswerPiece.Text text:
                _text.Append(text.Words);
                break;
            case AnswerPiece.Reasoning reasoning:
                _reasoning.Append(reasoning.Words);
                break;
            case AnswerPiece.CallBegun begun:
                _calls.Add(new WholeCall(begun.Id, begun.Name));
                break;
            case AnswerPiece.CallArguments arguments:
                _calls[arguments.Call].Add(arguments.Json);
                break;
            case AnswerPiece.CallEnded:
                CallsEnded++;
                break;
        }
    }
}

/// <summary>A call of a function, put together.</summary>
sealed class WholeCall(string id, string name)
{
    readonly StringBuilder _arguments = new();

    public string Id => id;

    public string Name => name;

    /// <summary>The text of a JSON object, unless the answer was cut or the model wrote something else.</summary>
    public string Arguments => _arguments.ToString();

    public void Add(string json) => _arguments.Append(json);
}

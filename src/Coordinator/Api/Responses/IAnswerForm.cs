using System.Text;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>
/// How one API writes the answer to one request, whole or as a stream. All forms get the same deltas; none of them runs anything. A form serves one
/// answer, so it may keep in mind what it has written.
/// </summary>
interface IAnswerForm
{
    EventFraming Framing => EventFraming.ServerSent;

    /// <summary>The whole answer.</summary>
    void WriteWhole(Utf8JsonWriter json, IReadOnlyList<WholeChoice> choices);

    /// <summary>The first delta is there: what comes before it in a stream.</summary>
    void Open(EventStream events);

    void Write(EventStream events, ChoiceDelta delta);

    /// <summary>All choices have ended.</summary>
    void Close(EventStream events);

    /// <summary>The stream ends with an error.</summary>
    void Fail(EventStream events, ApiError error);
}

/// <summary>What a form knows of the answer that it writes. Nothing of the prompts: an answer may take long.</summary>
/// <param name="Unique">Letters and digits that no other answer has, for its id.</param>
/// <param name="PromptTokens">Of all prompts together.</param>
sealed record AnswerFacts(
    string Unique, DateTimeOffset Created, ServedModel Model, GenerationSettings Settings, int PromptTokens, int Choices, GenerationRun Run)
{
    /// <summary>Log-probabilities were asked for.</summary>
    public bool Scored => Settings.Sampling.TopLogprobs is not null;

    /// <summary>Tokens so far.</summary>
    public Usage Usage => new(PromptTokens, Run.CompletionTokens, Run.CachedTokens);
}

/// <summary>Tokens of a request. A prompt counts once, however many choices continue it; an answer counts with the stop id that ended it.</summary>
/// <param name="CachedTokens">How many of the prompts' tokens were not computed again.</param>
readonly record struct Usage(int PromptTokens, int CompletionTokens, int CachedTokens)
{
    public void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", PromptTokens);
        json.WriteNumber("completion_tokens", CompletionTokens);
        json.WriteNumber("total_tokens", PromptTokens + CompletionTokens);
        json.WriteStartObject("prompt_tokens_details");
        json.WriteNumber("cached_tokens", CachedTokens);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}

/// <summary>A choice put together from its deltas.</summary>
sealed class WholeChoice
{
    readonly StringBuilder _text = new();
    readonly StringBuilder _reasoning = new();
    readonly List<WholeCall> _calls = [];
    readonly List<TokenScore> _scores = [];

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

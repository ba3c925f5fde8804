using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Sessions.Grains;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>
/// How one API writes the answer to one request, whole or as a stream. All forms get the same deltas; none of them runs anything. A form serves one
/// answer, so it may keep in mind what it has written.
/// </summary>
interface IAnswerForm
{
    EventFraming Framing => EventFraming.ServerSent;

    /// <summary>The answer's id as the client gets it; null where the API gives none.</summary>
    string? Id => null;

    /// <summary>All choices have ended, and the client knows nothing of it yet. Comes before <see cref="WriteWhole"/>.</summary>
    Task PrepareAsync(IReadOnlyList<WholeChoice> choices) => Task.CompletedTask;

    /// <summary>The whole answer.</summary>
    void WriteWhole(Utf8JsonWriter json, IReadOnlyList<WholeChoice> choices);

    /// <summary>The first delta is there: what comes before it in a stream.</summary>
    void Open(EventStream events);

    void Write(EventStream events, ChoiceDelta delta);

    /// <summary>All choices have ended: what comes last in a stream.</summary>
    Task CloseAsync(EventStream events);

    /// <summary>The stream ends with an error.</summary>
    void Fail(EventStream events, ApiError error);
}

/// <summary>What a form knows of the answer that it writes. Nothing of the prompts: an answer may take long.</summary>
/// <param name="Unique">Letters and digits that no other answer has, for its id.</param>
/// <param name="PromptTokens">Of all prompts together.</param>
/// <param name="History">The conversation with the answer, when that has ended; only where the request asked for it to be taken down.</param>
sealed record AnswerFacts(
    string Unique, DateTimeOffset Created, ServedModel Model, GenerationSettings Settings, int PromptTokens, int Choices, GenerationRun Run,
    Func<SessionHistory> History)
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

using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.Responses;

/// <summary>How one of OpenAI's two completion endpoints writes a choice: an element of "choices" without its index and finish_reason.</summary>
interface IResponseForm
{
    string IdPrefix { get; }

    /// <summary>"object" of a whole response.</summary>
    string WholeObject { get; }

    /// <summary>"object" of a chunk of a stream.</summary>
    string ChunkObject { get; }

    /// <summary>A stream begins with a chunk per choice that has no text yet.</summary>
    bool OpensStreams { get; }

    void WriteOpening(Utf8JsonWriter json);

    /// <param name="piece">Null: none, as in the last chunk of a choice.</param>
    void WriteDelta(Utf8JsonWriter json, AnswerPiece? piece, IReadOnlyList<TokenScore> scores, bool scored);

    void WriteWhole(Utf8JsonWriter json, WholeChoice choice, bool scored);
}

/// <summary>OpenAI's words for why a choice ended.</summary>
static class FinishReasons
{
    /// <summary>OpenAI has no word for a choice that failed within a stream; this one is OpenRouter's.</summary>
    public const string Failed = "error";

    public static string WordOf(EndReason reason) => reason switch
    {
        EndReason.Length => "length",
        EndReason.ToolCalls => "tool_calls",
        EndReason.ContentFilter => "content_filter",
        _ => "stop",
    };
}

/// <summary>Log-probabilities in JSON, which has no infinity.</summary>
static class Logprob
{
    /// <summary>OpenAI's word for "impossible".</summary>
    const float Impossible = -9999;

    public static float Finite(float logprob) => float.IsFinite(logprob) ? logprob : Impossible;
}

/// <summary>
/// The answers of OpenAI's two completion endpoints. This writes what is the same in every object; <see cref="IResponseForm"/> writes what is inside.
/// </summary>
sealed class CompletionAnswer(AnswerFacts facts, IResponseForm form) : IAnswerForm
{
    readonly bool[] _ended = new bool[facts.Choices];

    public string Id { get; } = $"{form.IdPrefix}{facts.Unique}";

    public void WriteWhole(Utf8JsonWriter json, IReadOnlyList<WholeChoice> choices)
    {
        WriteHead(json, form.WholeObject);
        json.WriteStartArray("choices");
        foreach (var (index, choice) in choices.Index())
        {
            var reason = choice.End is { } end ? FinishReasons.WordOf(end.Reason) : null;
            WriteChoice(json, index, json => form.WriteWhole(json, choice, facts.Scored), reason, choice.End?.Verdict);
        }
        json.WriteEndArray();
        facts.Usage.WriteTo(json);
        json.WriteEndObject();
    }

    /// <summary>The chunk that names the role.</summary>
    public void Open(EventStream events)
    {
        for (var index = 0; index < facts.Choices && form.OpensStreams; index++) WriteChunk(events, index, form.WriteOpening);
    }

    public void Write(EventStream events, ChoiceDelta delta)
    {
        var scores = delta.Scores;
        foreach (var piece in delta.Pieces)
        {
            if (piece is AnswerPiece.CallEnded) continue;
            WriteDelta(events, delta.Index, piece, scores);
            scores = [];
        }
        if (scores.Count > 0) WriteDelta(events, delta.Index, null, scores);
        if (delta.End is not { } end) return;
        _ended[delta.Index] = true;
        WriteEnd(events, delta.Index, FinishReasons.WordOf(end.Reason), end.Verdict);
    }

    public Task CloseAsync(EventStream events)
    {
        if (facts.Settings.IncludeUsage)
        {
            var json = events.Begin();
            WriteHead(json, form.ChunkObject);
            json.WriteStartArray("choices");
            json.WriteEndArray();
            facts.Usage.WriteTo(json);
            json.WriteEndObject();
            events.End();
        }
        events.Done();
        return Task.CompletedTask;
    }

    public void Fail(EventStream events, ApiError error)
    {
        error.WriteTo(events.Begin(), withRetryAfter: true);
        events.End();
        // OpenAI's client for .NET takes that for a piece without text, and half an answer for a whole one. At this reason to end it throws.
        foreach (var (index, ended) in _ended.Index())
            if (!ended) WriteEnd(events, index, FinishReasons.Failed, null);
    }

    void WriteEnd(EventStream events, int index, string reason, FilterVerdict? verdict)
        => WriteChunk(events, index, json => form.WriteDelta(json, null, [], facts.Scored), reason, verdict);

    void WriteDelta(EventStream events, int index, AnswerPiece? piece, IReadOnlyList<TokenScore> scores)
        => WriteChunk(events, index, json => form.WriteDelta(json, piece, scores, facts.Scored));

    void WriteChunk(EventStream events, int index, Action<Utf8JsonWriter> writeFields, string? reason = null, FilterVerdict? verdict = null)
    {
        var json = events.Begin();
        WriteHead(json, form.ChunkObject);
        json.WriteStartArray("choices");
        WriteChoice(json, index, writeFields, reason, verdict);
        json.WriteEndArray();
        if (facts.Settings.ContinuousUsage) facts.Usage.WriteTo(json);
        else if (facts.Settings.IncludeUsage) json.WriteNull("usage");
        json.WriteEndObject();
        events.End();
    }

    void WriteHead(Utf8JsonWriter json, string kind)
    {
        json.WriteStartObject();
        json.WriteString("id", Id);
        json.WriteString("object", kind);
        json.WriteNumber("created", facts.Created.ToUnixTimeSeconds());
        json.WriteString("model", facts.Model.Name);
        json.WriteString("system_fingerprint", facts.Model.Fingerprint);
        if (facts.Settings.NamesServiceTier) json.WriteString("service_tier", "default");
    }

    static void WriteChoice(Utf8JsonWriter json, int index, Action<Utf8JsonWriter> writeFields, string? reason, FilterVerdict? verdict)
    {
        json.WriteStartObject();
        json.WriteNumber("index", index);
        writeFields(json);
        json.WriteString("finish_reason", reason);
        verdict?.WriteTo(json);
        json.WriteEndObject();
    }
}

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
    public string Id { get; } = $"{form.IdPrefix}{facts.Unique}";

    public void WriteWhole(Utf8JsonWriter json, IReadOnlyList<WholeChoice> choices)
    {
        WriteHead(json, form.WholeObject);
        json.WriteStartArray("choices");
        foreach (var (index, choice) in choices.Index()) WriteChoice(json, index, choice.End, json => form.WriteWhole(json, choice, facts.Scored));
        json.WriteEndArray();
        facts.Usage.WriteTo(json);
        json.WriteEndObject();
    }

    /// <summary>The chunk that names the role.</summary>
    public void Open(EventStream events)
    {
        for (var index = 0; index < facts.Choices && form.OpensStreams; index++) WriteChunk(events, index, null, form.WriteOpening);
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
        if (delta.End is { } end) WriteChunk(events, delta.Index, end, json => form.WriteDelta(json, null, [], facts.Scored));
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
    }

    void WriteDelta(EventStream events, int index, AnswerPiece? piece, IReadOnlyList<TokenScore> scores)
        => WriteChunk(events, index, null, json => form.WriteDelta(json, piece, scores, facts.Scored));

    void WriteChunk(EventStream events, int index, ChoiceEnd? end, Action<Utf8JsonWriter> writeFields)
    {
        var json = events.Begin();
        WriteHead(json, form.ChunkObject);
        json.WriteStartArray("choices");
        WriteChoice(json, index, end, writeFields);
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

    static void WriteChoice(Utf8JsonWriter json, int index, ChoiceEnd? end, Action<Utf8JsonWriter> writeFields)
    {
        json.WriteStartObject();
        json.WriteNumber("index", index);
        writeFields(json);
        json.WriteString("finish_reason", end is { } ended ? FinishReasons.WordOf(ended.Reason) : null);
        if (end is { Verdict: { } verdict }) verdict.WriteTo(json);
        json.WriteEndObject();
    }
}

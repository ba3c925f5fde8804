using System.Text;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.LlamaCpp;

/// <summary>
/// The answer of llama.cpp's server to a completion: its text, or a stream of pieces of it, the last of which says how it ended and how long it took.
/// </summary>
/// <param name="time">What durations are measured with.</param>
sealed class InfillAnswer(AnswerFacts facts, TimeProvider time) : IAnswerForm
{
    readonly long _began = time.GetTimestamp();
    readonly StringBuilder _text = new();
    ChoiceEnd? _end;

    public void WriteWhole(Utf8JsonWriter json, IReadOnlyList<WholeChoice> choices)
    {
        _text.Append(choices[0].Text);
        _end = choices[0].End;
        WriteLast(json, choices[0].Text);
    }

    public void Open(EventStream events)
    {
    }

    public void Write(EventStream events, ChoiceDelta delta)
    {
        _end = delta.End ?? _end;
        foreach (var piece in delta.Pieces.OfType<AnswerPiece.Text>())
        {
            _text.Append(piece.Words);
            var json = events.Begin();
            json.WriteStartObject();
            json.WriteNumber("index", 0);
            json.WriteString("content", piece.Words);
            json.WriteBoolean("stop", false);
            json.WriteNumber("tokens_predicted", facts.Usage.CompletionTokens);
            json.WriteNumber("tokens_evaluated", facts.PromptTokens);
            json.WriteEndObject();
            events.End();
        }
    }

    public Task CloseAsync(EventStream events)
    {
        WriteLast(events.Begin(), "");
        events.End();
        return Task.CompletedTask;
    }

    public void Fail(EventStream events, ApiError error)
    {
        error.WriteTo(events.Begin(), withRetryAfter: true);
        events.End();
    }

    void WriteLast(Utf8JsonWriter json, string content)
    {
        var (usage, now) = (facts.Usage, time.GetTimestamp());
        var first = facts.Run.FirstToken ?? now;
        json.WriteStartObject();
        json.WriteNumber("index", 0);
        json.WriteString("content", content);
        json.WriteNumber("id_slot", 0);
        json.WriteBoolean("stop", true);
        json.WriteString("model", facts.Model.Name);
        json.WriteNumber("tokens_predicted", usage.CompletionTokens);
        json.WriteNumber("tokens_evaluated", usage.PromptTokens);
        json.WriteNumber("tokens_cached", usage.PromptTokens + usage.CompletionTokens);
        json.WriteBoolean("has_new_line", _text.ToString().Contains('\n'));
        json.WriteBoolean("truncated", false);
        json.WriteString("stop_type", _end switch
        {
            { StopText: not null } => "word",
            { Reason: EndReason.Length } => "limit",
            { Reason: EndReason.ContentFilter } => "content_filter",
            _ => "eos",
        });
        json.WriteString("stopping_word", _end?.StopText ?? "");
        if (_end is { Verdict: { } verdict }) verdict.WriteTo(json);
        json.WriteStartObject("timings");
        json.WriteNumber("cache_n", usage.CachedTokens);
        WriteTimes(json, "prompt", usage.PromptTokens - usage.CachedTokens, time.GetElapsedTime(_began, first));
        WriteTimes(json, "predicted", usage.CompletionTokens, time.GetElapsedTime(first, now));
        json.WriteEndObject();
        json.WriteEndObject();
    }

    static void WriteTimes(Utf8JsonWriter json, string name, int tokens, TimeSpan took)
    {
        json.WriteNumber($"{name}_n", tokens);
        json.WriteNumber($"{name}_ms", took.TotalMilliseconds);
        json.WriteNumber($"{name}_per_token_ms", tokens > 0 ? took.TotalMilliseconds / tokens : 0);
        json.WriteNumber($"{name}_per_second", took > TimeSpan.Zero ? tokens / took.TotalSeconds : 0);
    }
}

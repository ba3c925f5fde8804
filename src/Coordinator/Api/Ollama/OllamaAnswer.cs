using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.Ollama;

/// <summary>
/// Ollama's answers: JSON objects with a piece of the text each, one a line, the last of which says how it ended and how long it took. Calls come
/// whole. A chat's pieces are messages, those of /api/generate texts.
/// </summary>
/// <param name="time">What durations are measured with.</param>
sealed class OllamaAnswer(AnswerFacts facts, TimeProvider time, bool isChat) : IAnswerForm
{
    readonly long _began = time.GetTimestamp();
    readonly Dictionary<int, WholeCall> _calls = [];
    ChoiceEnd? _end;

    public EventFraming Framing => EventFraming.Lines;

    public void WriteWhole(Utf8JsonWriter json, IReadOnlyList<WholeChoice> choices)
    {
        var choice = choices[0];
        _end = choice.End;
        WriteLast(json, () => WriteContent(json, choice.Text, choice.Reasoning, choice.Calls));
    }

    public void Open(EventStream events)
    {
    }

    public void Write(EventStream events, ChoiceDelta delta)
    {
        foreach (var piece in delta.Pieces) Write(events, piece);
        _end = delta.End ?? _end;
    }

    public Task CloseAsync(EventStream events)
    {
        var json = events.Begin();
        WriteLast(json, () => WriteContent(json, "", "", []));
        events.End();
        return Task.CompletedTask;
    }

    public void Fail(EventStream events, ApiError error)
    {
        ErrorShape.Ollama.Write(events.Begin(), error, "");
        events.End();
    }

    void Write(EventStream events, AnswerPiece piece)
    {
        switch (piece)
        {
            case AnswerPiece.Text text:
                WriteLine(events, text.Words, "", []);
                break;
            case AnswerPiece.Reasoning reasoning:
                WriteLine(events, "", reasoning.Words, []);
                break;
            case AnswerPiece.CallBegun begun:
                _calls.Add(begun.Call, new WholeCall(begun.Id, begun.Name));
                break;
            case AnswerPiece.CallArguments arguments:
                _calls[arguments.Call].Add(arguments.Json);
                break;
            case AnswerPiece.CallEnded ended:
                WriteLine(events, "", "", [_calls[ended.Call]]);
                break;
        }
    }

    void WriteLine(EventStream events, string text, string reasoning, IReadOnlyList<WholeCall> calls)
    {
        var json = events.Begin();
        WriteHead(json);
        WriteContent(json, text, reasoning, calls);
        json.WriteBoolean("done", false);
        json.WriteEndObject();
        events.End();
    }

    void WriteHead(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("model", facts.Model.Name);
        json.WriteString("created_at", time.GetUtcNow().UtcDateTime);
    }

    void WriteContent(Utf8JsonWriter json, string text, string reasoning, IReadOnlyList<WholeCall> calls)
    {
        if (!isChat)
        {
            json.WriteString("response", text);
            if (reasoning.Length > 0) json.WriteString("thinking", reasoning);
            return;
        }
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        json.WriteString("content", text);
        if (reasoning.Length > 0) json.WriteString("thinking", reasoning);
        if (calls.Count > 0)
        {
            json.WriteStartArray("tool_calls");
            foreach (var call in calls)
            {
                json.WriteStartObject();
                json.WriteString("id", call.Id);
                json.WriteStartObject("function");
                json.WriteString("name", call.Name);
                json.WritePropertyName("arguments");
                json.WriteRawValue(JsonFragments.ObjectOr(call.Arguments, "{}"), skipInputValidation: true);
                json.WriteEndObject();
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    /// <summary>Durations are nanoseconds. The model is loaded already.</summary>
    void WriteLast(Utf8JsonWriter json, Action writeContent)
    {
        var (usage, now) = (facts.Usage, time.GetTimestamp());
        var first = facts.Run.FirstToken ?? now;
        WriteHead(json);
        writeContent();
        json.WriteBoolean("done", true);
        json.WriteString("done_reason", _end switch
        {
            { Reason: EndReason.Length } => "length",
            { Reason: EndReason.ContentFilter } => "content_filter",
            _ => "stop",
        });
        if (_end is { Verdict: { } verdict }) verdict.WriteTo(json);
        if (!isChat)
        {
            json.WriteStartArray("context");
            foreach (var id in facts.Run.TokensOf(0)) json.WriteNumberValue(id);
            json.WriteEndArray();
        }
        json.WriteNumber("total_duration", Nanoseconds(_began, now));
        json.WriteNumber("load_duration", 0);
        json.WriteNumber("prompt_eval_count", usage.PromptTokens);
        json.WriteNumber("prompt_eval_duration", Nanoseconds(_began, first));
        json.WriteNumber("eval_count", usage.CompletionTokens);
        json.WriteNumber("eval_duration", Nanoseconds(first, now));
        json.WriteEndObject();
    }

    long Nanoseconds(long from, long to) => (long)time.GetElapsedTime(from, to).TotalNanoseconds;
}

using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.Anthropic;

/// <summary>
/// Anthropic's message, and its stream: message_start, then each content block with its start, deltas and stop, then message_delta and message_stop.
/// See https://docs.anthropic.com/en/docs/build-with-claude/streaming.
/// </summary>
sealed class MessagesAnswer(AnswerFacts facts) : IAnswerForm
{
    const string NoInput = "{}";

    int _block = -1;          // index of the last block
    Block _open;
    ChoiceEnd? _end;

    enum Block
    {
        None,
        Text,
        Thinking,
        ToolUse,
    }

    public string Id { get; } = $"msg_{facts.Unique}";

    public void WriteWhole(Utf8JsonWriter json, IReadOnlyList<WholeChoice> choices)
    {
        var choice = choices[0];
        json.WriteStartObject();
        WriteHead(json);
        json.WriteStartArray("content");
        if (choice.Reasoning.Length > 0)
        {
            json.WriteStartObject();
            json.WriteString("type", "thinking");
            json.WriteString("thinking", choice.Reasoning);
            json.WriteString("signature", "");
            json.WriteEndObject();
        }
        if (choice.Text.Length > 0 || choice.Calls.Count == 0)
        {
            json.WriteStartObject();
            json.WriteString("type", "text");
            json.WriteString("text", choice.Text);
            json.WriteEndObject();
        }
        foreach (var call in choice.Calls)
        {
            json.WriteStartObject();
            WriteToolUse(json, call.Id, call.Name, JsonFragments.ObjectOr(call.Arguments, NoInput));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        WriteStop(json, choice.End);
        WriteUsage(json, facts.Usage);
        json.WriteEndObject();
    }

    public void Open(EventStream events)
    {
        Write(events, "message_start", json =>
        {
            json.WriteStartObject("message");
            WriteHead(json);
            json.WriteStartArray("content");
            json.WriteEndArray();
            WriteStop(json, null);
            WriteUsage(json, facts.Usage with { CompletionTokens = 0 });
            json.WriteEndObject();
        });
    }

    public void Write(EventStream events, ChoiceDelta delta)
    {
        foreach (var piece in delta.Pieces) Write(events, piece);
        _end = delta.End ?? _end;
    }

    public Task CloseAsync(EventStream events)
    {
        if (_block < 0) StartBlock(events, Block.Text);   // readers expect one
        StopBlock(events);
        Write(events, "message_delta", json =>
        {
            json.WriteStartObject("delta");
            WriteStop(json, _end);
            json.WriteEndObject();
            WriteUsage(json, facts.Usage);
        });
        Write(events, "message_stop", _ => { });
        return Task.CompletedTask;
    }

    public void Fail(EventStream events, ApiError error)
    {
        ErrorShape.Anthropic.Write(events.Begin("error"), error, $"req_{facts.Unique}");
        events.End();
    }

    void Write(EventStream events, AnswerPiece piece)
    {
        switch (piece)
        {
            case AnswerPiece.Text text:
                StartBlock(events, Block.Text);
                WriteDelta(events, "text_delta", "text", text.Words);
                break;
            case AnswerPiece.Reasoning reasoning:
                StartBlock(events, Block.Thinking);
                WriteDelta(events, "thinking_delta", "thinking", reasoning.Words);
                break;
            case AnswerPiece.CallBegun begun:
                StartBlock(events, Block.ToolUse, begun);
                break;
            case AnswerPiece.CallArguments arguments:
                WriteDelta(events, "input_json_delta", "partial_json", arguments.Json);
                break;
            case AnswerPiece.CallEnded:
                StopBlock(events);
                break;
        }
    }

    /// <summary>Begins a block of the kind, unless one is open.</summary>
    void StartBlock(EventStream events, Block kind, AnswerPiece.CallBegun? call = null)
    {
        if (_open == kind) return;
        StopBlock(events);
        _open = kind;
        _block++;
        Write(events, "content_block_start", json =>
        {
            json.WriteNumber("index", _block);
            json.WriteStartObject("content_block");
            if (call is not null)
            {
                WriteToolUse(json, call.Id, call.Name, NoInput);
            }
            else if (kind is Block.Thinking)
            {
                json.WriteString("type", "thinking");
                json.WriteString("thinking", "");
                json.WriteString("signature", "");
            }
            else
            {
                json.WriteString("type", "text");
                json.WriteString("text", "");
            }
            json.WriteEndObject();
        });
    }

    void StopBlock(EventStream events)
    {
        if (_open is Block.None) return;
        _open = Block.None;
        Write(events, "content_block_stop", json => json.WriteNumber("index", _block));
    }

    void WriteDelta(EventStream events, string type, string field, string words) => Write(events, "content_block_delta", json =>
    {
        json.WriteNumber("index", _block);
        json.WriteStartObject("delta");
        json.WriteString("type", type);
        json.WriteString(field, words);
        json.WriteEndObject();
    });

    static void Write(EventStream events, string type, Action<Utf8JsonWriter> writeFields)
    {
        var json = events.Begin(type);
        json.WriteStartObject();
        json.WriteString("type", type);
        writeFields(json);
        json.WriteEndObject();
        events.End();
    }

    void WriteHead(Utf8JsonWriter json)
    {
        json.WriteString("id", Id);
        json.WriteString("type", "message");
        json.WriteString("role", "assistant");
        json.WriteString("model", facts.Model.Name);
    }

    static void WriteToolUse(Utf8JsonWriter json, string id, string name, string input)
    {
        json.WriteString("type", "tool_use");
        json.WriteString("id", id);
        json.WriteString("name", name);
        json.WritePropertyName("input");
        json.WriteRawValue(input, skipInputValidation: true);
    }

    static void WriteStop(Utf8JsonWriter json, ChoiceEnd? end)
    {
        json.WriteString("stop_reason", end switch
        {
            null => null,
            { StopText: not null } => "stop_sequence",
            { Reason: EndReason.Length } => "max_tokens",
            { Reason: EndReason.ToolCalls } => "tool_use",
            { Reason: EndReason.ContentFilter } => "refusal",
            _ => "end_turn",
        });
        json.WriteString("stop_sequence", end?.StopText);
    }

    /// <summary>Anthropic counts tokens that a cache had apart from the others.</summary>
    static void WriteUsage(Utf8JsonWriter json, Usage usage)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("input_tokens", usage.PromptTokens - usage.CachedTokens);
        json.WriteNumber("cache_creation_input_tokens", 0);
        json.WriteNumber("cache_read_input_tokens", usage.CachedTokens);
        json.WriteNumber("output_tokens", usage.CompletionTokens);
        json.WriteEndObject();
    }
}

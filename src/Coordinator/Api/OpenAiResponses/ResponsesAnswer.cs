using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Sessions.Responses;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Coordinator.Api.OpenAiResponses;

/// <summary>
/// OpenAI's response object, and its stream of numbered events: each output item is added, grows by deltas, and is done. A complete response is kept
/// if its request wants it. See https://platform.openai.com/docs/api-reference/responses-streaming.
/// </summary>
sealed class ResponsesAnswer(AnswerFacts facts, ResponsesRequest request, CallersResponses store) : IAnswerForm
{
    readonly ResponseIds _ids = request.Ids;
    readonly JsonArray _output = [];
    readonly StringBuilder _written = new();   // of the item that is open
    JsonObject? _item;
    int _number;
    ChoiceEnd? _end;
    JsonObject? _whole;

    public string Id => _ids.Response;

    public async Task PrepareAsync(IReadOnlyList<WholeChoice> choices)
    {
        var choice = choices[0];
        if (choice.Reasoning.Length > 0) _output.Add((JsonNode)Finish(NewReasoning(), choice.Reasoning));
        if (choice.Text.Length > 0 || choice.Calls.Count == 0) _output.Add((JsonNode)Finish(NewMessage(), choice.Text));
        foreach (var call in choice.Calls) _output.Add((JsonNode)Finish(NewCall(call.Id, call.Name), call.Arguments));
        _end = choice.End;
        _whole = await EndAsync();
    }

    public void WriteWhole(Utf8JsonWriter json, IReadOnlyList<WholeChoice> choices) => _whole!.WriteTo(json);

    public void Open(EventStream events)
    {
        Write(events, "response.created", json => WriteResponse(json, Object("in_progress")));
        Write(events, "response.in_progress", json => WriteResponse(json, Object("in_progress")));
    }

    public void Write(EventStream events, ChoiceDelta delta)
    {
        foreach (var piece in delta.Pieces) Write(events, piece);
        _end = delta.End ?? _end;
    }

    public async Task CloseAsync(EventStream events)
    {
        if (_item is null && _output.Count == 0) Begin(events, NewMessage());
        End(events);
        var response = await EndAsync();
        Write(events, $"response.{(string?)response["status"]}", json => WriteResponse(json, response));
    }

    public void Fail(EventStream events, ApiError error)
    {
        var response = Object("failed");
        response["error"] = new JsonObject { ["code"] = error.Status >= 500 ? "server_error" : error.Code ?? error.Type, ["message"] = error.Message };
        Write(events, "response.failed", json => WriteResponse(json, response));
        Write(events, "error", json =>
        {
            json.WriteString("code", error.Code);
            json.WriteString("message", error.Message);
            json.WriteString("param", error.Param);
        });
    }

    void Write(EventStream events, AnswerPiece piece)
    {
        switch (piece)
        {
            case AnswerPiece.Text text:
                if (KindOf(_item) is not "message") Begin(events, NewMessage());
                WriteDelta(events, "response.output_text.delta", text.Words);
                break;
            case AnswerPiece.Reasoning reasoning:
                if (KindOf(_item) is not "reasoning") Begin(events, NewReasoning());
                WriteDelta(events, "response.reasoning_text.delta", reasoning.Words);
                break;
            case AnswerPiece.CallBegun begun:
                Begin(events, NewCall(begun.Id, begun.Name));
                break;
            case AnswerPiece.CallArguments arguments:
                WriteDelta(events, "response.function_call_arguments.delta", arguments.Json);
                break;
            case AnswerPiece.CallEnded:
                End(events);
                break;
        }
    }

    void Begin(EventStream events, JsonObject item)
    {
        End(events);
        _item = item;
        Write(events, "response.output_item.added", json =>
        {
            json.WriteNumber("output_index", _output.Count);
            json.WritePropertyName("item");
            item.WriteTo(json);
        });
        if (KindOf(item) is not "function_call") WritePart(events, "response.content_part.added", "");
    }

    void WriteDelta(EventStream events, string type, string delta)
    {
        _written.Append(delta);
        Write(events, type, json =>
        {
            WritePlace(json);
            json.WriteString("delta", delta);
            if (KindOf(_item) is "message") WriteNone(json, "logprobs");
        });
    }

    /// <summary>The open item is complete.</summary>
    void End(EventStream events)
    {
        if (_item is not { } item) return;
        var text = _written.ToString();
        _written.Clear();
        switch (KindOf(item))
        {
            case "function_call":
                Write(events, "response.function_call_arguments.done", json =>
                {
                    WritePlace(json);
                    json.WriteString("name", (string?)item["name"]);
                    json.WriteString("arguments", text);
                });
                break;
            case var kind:
                Write(events, kind is "message" ? "response.output_text.done" : "response.reasoning_text.done", json =>
                {
                    WritePlace(json);
                    json.WriteString("text", text);
                    if (kind is "message") WriteNone(json, "logprobs");
                });
                WritePart(events, "response.content_part.done", text);
                break;
        }
        Finish(item, text);
        Write(events, "response.output_item.done", json =>
        {
            json.WriteNumber("output_index", _output.Count);
            json.WritePropertyName("item");
            item.WriteTo(json);
        });
        _output.Add((JsonNode)item);
        _item = null;
    }

    void WritePart(EventStream events, string type, string text) => Write(events, type, json =>
    {
        WritePlace(json);
        json.WritePropertyName("part");
        Part(_item!, text).WriteTo(json);
    });

    void WritePlace(Utf8JsonWriter json)
    {
        json.WriteString("item_id", (string?)_item!["id"]);
        json.WriteNumber("output_index", _output.Count);
        if (KindOf(_item) is not "function_call") json.WriteNumber("content_index", 0);
    }

    void Write(EventStream events, string type, Action<Utf8JsonWriter> writeFields)
    {
        var json = events.Begin(type);
        json.WriteStartObject();
        json.WriteString("type", type);
        json.WriteNumber("sequence_number", _number++);
        writeFields(json);
        json.WriteEndObject();
        events.End();
    }

    static void WriteResponse(Utf8JsonWriter json, JsonObject response)
    {
        json.WritePropertyName("response");
        response.WriteTo(json);
    }

    static void WriteNone(Utf8JsonWriter json, string name)
    {
        json.WriteStartArray(name);
        json.WriteEndArray();
    }

    static string? KindOf(JsonObject? item) => (string?)item?["type"];

    JsonObject NewMessage() => New("msg", "message", ("role", "assistant"), ("content", new JsonArray()));

    JsonObject NewReasoning() => New("rs", "reasoning", ("summary", new JsonArray()), ("content", new JsonArray()));

    JsonObject NewCall(string callId, string name) => New("fc", "function_call", ("call_id", callId), ("name", name), ("arguments", ""));

    JsonObject New(string prefix, string type, params (string Name, JsonNode? Value)[] fields)
    {
        var item = new JsonObject { ["id"] = _ids.NextItem(prefix), ["type"] = type, ["status"] = "in_progress" };
        foreach (var (name, value) in fields) item[name] = value;
        return item;
    }

    static JsonObject Finish(JsonObject item, string text)
    {
        item["status"] = "completed";
        if (KindOf(item) is "function_call") item["arguments"] = text;
        else item["content"] = new JsonArray(Part(item, text));
        return item;
    }

    static JsonObject Part(JsonObject item, string text) => KindOf(item) is "reasoning"
        ? new() { ["type"] = "reasoning_text", ["text"] = text }
        : new() { ["type"] = "output_text", ["text"] = text, ["annotations"] = new JsonArray(), ["logprobs"] = new JsonArray() };

    /// <summary>The response when all of its output is there. It is kept before the client knows of its end; if that is not possible, it says so.</summary>
    async Task<JsonObject> EndAsync()
    {
        var response = Ended();
        if (!request.Store) return response;
        var history = facts.History();
        var kept = new ResponseState(
            Id, "", facts.Created, response.ToJsonString(), request.Input.ToJsonString(), request.Instructions is { Length: > 0 } ? 1 : 0, history)
        {
            Begun = request.Completion.Before!.Created,
        };
        if (!await store.TryKeepAsync(kept)) response["store"] = false;
        return response;
    }

    JsonObject Ended()
    {
        var isFiltered = _end is { Reason: EndReason.ContentFilter };
        var isCut = isFiltered || _end is { Reason: EndReason.Length };
        if (isCut && _output.LastOrDefault() is JsonObject last) last["status"] = "incomplete";
        var response = Object(isCut ? "incomplete" : "completed");
        if (isCut) response["incomplete_details"] = new JsonObject { ["reason"] = isFiltered ? "content_filter" : "max_output_tokens" };
        var usage = facts.Usage;
        response["usage"] = new JsonObject
        {
            ["input_tokens"] = usage.PromptTokens,
            ["input_tokens_details"] = new JsonObject { ["cached_tokens"] = usage.CachedTokens },
            ["output_tokens"] = usage.CompletionTokens,
            ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = 0 },
            ["total_tokens"] = usage.PromptTokens + usage.CompletionTokens,
        };
        return response;
    }

    JsonObject Object(string status)
    {
        var response = new JsonObject
        {
            ["id"] = Id,
            ["object"] = "response",
            ["created_at"] = facts.Created.ToUnixTimeSeconds(),
            ["status"] = status,
            ["background"] = false,
            ["error"] = null,
            ["incomplete_details"] = null,
            ["model"] = facts.Model.Name,
            ["output"] = _output.DeepClone(),
            ["usage"] = null,
        };
        foreach (var (name, value) in request.Repeated) response[name] = value?.DeepClone();
        return response;
    }
}

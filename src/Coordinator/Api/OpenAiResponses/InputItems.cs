using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.OpenAiResponses;

/// <summary>
/// Reads the field "input" of /v1/responses: a text, or items of messages, calls, results and reasoning, or names of those that are kept. Each item gets an
/// id if it has none.
/// </summary>
sealed class InputItems(ServedModel model, ResponseIds ids)
{
    /// <summary>Type of an item that only names another.</summary>
    public const string Reference = "item_reference";

    public JsonArray Read(FieldReader fields)
    {
        var items = new JsonArray();
        if (fields.Find("input") is not { ValueKind: JsonValueKind.Array } list)
        {
            if (fields.Find("input") is null) fields.Refuse("input", "'input' is required.");
            items.Add((JsonNode)Message("user", "input_text", fields.Text("input")));
            return items;
        }
        if (list.GetArrayLength() == 0) fields.Refuse("input", "'input' must not be an empty list.");
        foreach (var (index, element) in (fields.List("input", ApiLimits.Messages) ?? []).Index())
        {
            if (fields.Error is not null || fields.Element("input", index, element) is not { } item) break;
            if (ReadItem(item) is { } read) items.Add((JsonNode)read);
            item.ReportUnread();
        }
        return items;
    }

    JsonObject? ReadItem(FieldReader item)
    {
        item.Bookkeeping("status");
        var id = item.Text("id");
        switch (item.Text("type"))
        {
            case null or "message":
                return WithId("msg", id, ReadMessage(item));
            case "function_call":
                item.Bookkeeping("namespace");
                return WithId("fc", id, new JsonObject
                {
                    ["type"] = "function_call",
                    ["status"] = "completed",
                    ["call_id"] = Required(item, "call_id"),
                    ["name"] = Required(item, "name"),
                    ["arguments"] = item.Text("arguments") ?? "",
                });
            case "function_call_output":
                return WithId("fco", id, new JsonObject
                {
                    ["type"] = "function_call_output",
                    ["status"] = "completed",
                    ["call_id"] = Required(item, "call_id"),
                    ["output"] = ReadTexts(item, "output", "input_text"),
                });
            case "reasoning":
                return ReadReasoning(item, id);
            case Reference:
                return new JsonObject { ["type"] = Reference, ["id"] = id };
            case var type:
                item.Refuse("type", $"'{item.PathOf("type")}' must be message, function_call, function_call_output, reasoning or item_reference, "
                    + $"not '{JsonText.Shorten(type)}': this server runs no tools itself.");
                return null;
        }
    }

    JsonObject ReadMessage(FieldReader item)
    {
        item.Bookkeeping("phase");
        var role = item.Text("role");
        if (role is not ("user" or "assistant" or "system" or "developer"))
            item.Refuse("role",
                $"'{item.PathOf("role")}' must be user, assistant, system or developer, not {(role is null ? "missing" : $"'{JsonText.Shorten(role)}'")}.");
        if (item.Find("content") is null) item.Refuse("content", $"'{item.PathOf("content")}' is required.");
        var part = role is "assistant" ? "output_text" : "input_text";
        return Message(role, part, ReadTexts(item, "content", part));
    }

    /// <summary>Reasoning that the template leaves out is of no effect, as OpenAI's models too forget that of earlier turns.</summary>
    JsonObject? ReadReasoning(FieldReader item, string? id)
    {
        foreach (var name in (string[])["encrypted_content", "summary"]) item.Bookkeeping(name);
        if (model.Template is not { KnowsEarlierReasoning: true })
        {
            item.Bookkeeping("content");
            return null;
        }
        var text = item.Find("content") is null ? "" : ReadTexts(item, "content", "reasoning_text");
        return WithId("rs", id, new JsonObject
        {
            ["type"] = "reasoning",
            ["summary"] = new JsonArray(),
            ["content"] = new JsonArray(new JsonObject { ["type"] = "reasoning_text", ["text"] = text }),
        });
    }

    /// <summary>A text, or a list of text parts of any type that is one.</summary>
    static string? ReadTexts(FieldReader item, string name, string usualType)
    {
        if (item.Find(name) is not { ValueKind: JsonValueKind.Array }) return item.Text(name);
        var texts = new List<string?>();
        foreach (var (index, element) in (item.List(name, ApiLimits.Messages) ?? []).Index())
        {
            if (item.Error is not null || item.Element(name, index, element) is not { } part) break;
            if (part.Text("type") is not ("input_text" or "output_text" or "text" or "reasoning_text" or "summary_text"))
                part.Refuse("type",
                    $"'{part.PathOf("type")}' must be \"{usualType}\", not '{JsonText.Shorten(part.Text("type") ?? "")}': this is a text model.");
            part.Bookkeeping("annotations");
            part.Bookkeeping("logprobs");
            texts.Add(Required(part, "text"));
            part.ReportUnread();
        }
        return string.Join('\n', texts);
    }

    static string? Required(FieldReader fields, string name)
    {
        if (fields.Find(name) is null) fields.Refuse(name, $"'{fields.PathOf(name)}' is required.");
        return fields.Text(name);
    }

    JsonObject Message(string? role, string part, string? text)
    {
        var content = new JsonObject { ["type"] = part, ["text"] = text };
        if (part == "output_text") content["annotations"] = new JsonArray();
        return WithId("msg", null, new JsonObject { ["type"] = "message", ["status"] = "completed", ["role"] = role, ["content"] = new JsonArray(content) });
    }

    JsonObject WithId(string prefix, string? id, JsonObject item)
    {
        item["id"] = id ?? (string?)item["id"] ?? ids.NextItem(prefix);
        return item;
    }
}

/// <summary>Makes of items the messages that chat templates take: calls that stand side by side are one message of the assistant, with its words.</summary>
/// <param name="messages">The conversation so far; the items' messages are added to it.</param>
sealed class ItemConversation(JsonArray messages)
{
    string? _reasoning;

    public void Add(JsonArray items)
    {
        foreach (var item in items) Add((JsonObject)item!);
    }

    void Add(JsonObject item)
    {
        switch ((string?)item["type"])
        {
            case "function_call":
                var message = Assistant();
                message["content"] ??= null;
                if (message["tool_calls"] is not JsonArray calls) message["tool_calls"] = calls = [];
                calls.Add((JsonNode)new JsonObject
                {
                    ["id"] = (string?)item["call_id"],
                    ["type"] = "function",
                    ["function"] = new JsonObject { ["name"] = (string?)item["name"], ["arguments"] = (string?)item["arguments"] },
                });
                break;
            case "function_call_output":
                messages.Add((JsonNode)new JsonObject
                {
                    ["role"] = "tool",
                    ["tool_call_id"] = (string?)item["call_id"],
                    ["content"] = (string?)item["output"],
                });
                break;
            case "reasoning":
                _reasoning = TextOf(item);
                break;
            default:
                var role = (string?)item["role"] is "developer" ? "system" : (string?)item["role"];
                var words = new JsonObject { ["role"] = role, ["content"] = TextOf(item) };
                if (role == "assistant") TakeReasoning(words);
                messages.Add((JsonNode)words);
                break;
        }
    }

    /// <summary>The assistant's message that a call belongs to: the last one, or a new one.</summary>
    JsonObject Assistant()
    {
        if (messages.LastOrDefault() is JsonObject last && (string?)last["role"] == "assistant") return last;
        var message = new JsonObject { ["role"] = "assistant", ["content"] = null };
        TakeReasoning(message);
        messages.Add((JsonNode)message);
        return message;
    }

    void TakeReasoning(JsonObject message)
    {
        if (_reasoning is { Length: > 0 }) message["reasoning_content"] = _reasoning;
        _reasoning = null;
    }

    static string TextOf(JsonObject item) => string.Join('\n', (item["content"] as JsonArray ?? []).Select(part => (string?)part!["text"]));
}

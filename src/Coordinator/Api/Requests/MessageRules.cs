using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>
/// Reads the messages of a chat into the form that chat templates take: "developer", OpenAI's newer word for "system", becomes the role that templates
/// know; the text parts of one message are joined by line breaks; a name is passed on, and the template decides what to do with it.
/// </summary>
static class MessageRules
{
    public static JsonArray Read(FieldReader fields, ServedModel model)
    {
        if (fields.Find("messages") is null) fields.Refuse("messages", "'messages' is required.");
        if (fields.List("messages", ApiLimits.Messages) is { Length: 0 }) fields.Refuse("messages", "'messages' must hold at least one message.");
        return ReadAny(fields, model);
    }

    /// <summary>The same where there need be no messages.</summary>
    public static JsonArray ReadAny(FieldReader fields, ServedModel model)
    {
        var messages = new JsonArray();
        var elements = fields.List("messages", ApiLimits.Messages);
        foreach (var (index, element) in (elements ?? []).Index())
        {
            if (fields.Error is not null) break;
            messages.Add(ReadMessage(fields.Element("messages", index, element), model));
        }
        return messages;
    }

    static JsonNode? ReadMessage(FieldReader? message, ServedModel model)
    {
        if (message is null) return null;
        // Before the role and the content: a turn that calls functions mostly has no content.
        var calls = ReadCalls(message);
        message.Neutral("function_call", Neutral.Never, "is not supported: use 'tool_calls'");
        message.Neutral("refusal", Neutral.EmptyText, "is not supported");
        message.Neutral("audio", Neutral.Never, "is not supported: this is a text model");
        message.Neutral("annotations", Neutral.EmptyList, "is not supported");
        var role = ReadRole(message);
        if (calls.Count > 0 && role is not "assistant") message.Refuse("tool_calls", $"'{message.PathOf("tool_calls")}' is for messages of the assistant.");
        var read = new JsonObject { ["role"] = role, ["content"] = ReadContent(message, optional: calls.Count > 0) };
        if (calls.Count > 0) read["tool_calls"] = calls;
        if (message.Text("tool_call_id") is { Length: > 0 } id)
        {
            if (role is not "tool") message.Refuse("tool_call_id", $"'{message.PathOf("tool_call_id")}' is for messages of the role tool.");
            read["tool_call_id"] = id;
        }
        if (message.Text("name") is { } name) read["name"] = name;
        ReadReasoning(message, read, model);
        message.ReportUnread();
        return read;
    }

    static string? ReadRole(FieldReader message)
    {
        var role = message.Text("role");
        switch (role)
        {
            case "system" or "user" or "assistant" or "tool":
                return role;
            case "developer":
                return "system";
            case "function":
                message.Refuse("role", $"'{message.PathOf("role")}': the role 'function' is not supported: use 'tool', with 'tool_call_id'.");
                return role;
            default:
                message.Refuse("role",
                    $"'{message.PathOf("role")}' must be system, developer, user, assistant or tool, "
                    + $"not {(role is null ? "missing" : $"'{JsonText.Shorten(role)}'")}.");
                return role;
        }
    }

    /// <summary>Calls of an earlier answer, in the form of templates. Clients write arguments as a text of JSON, a few as the object.</summary>
    public static JsonArray ReadCalls(FieldReader message)
    {
        var calls = new JsonArray();
        foreach (var (index, element) in (message.List("tool_calls", ApiLimits.Tools) ?? []).Index())
        {
            if (message.Error is not null || message.Element("tool_calls", index, element) is not { } call) break;
            if (call.Text("type") is { } type and not "function")
                call.Refuse("type", $"'{call.PathOf("type")}' must be \"function\", not '{JsonText.Shorten(type)}'.");
            call.Bookkeeping("index");
            var read = new JsonObject();
            if (call.Text("id") is { } id) read["id"] = id;
            read["type"] = "function";
            read["function"] = ReadCalledFunction(call);
            call.ReportUnread();
            calls.Add((JsonNode)read);
        }
        return calls;
    }

    static JsonObject ReadCalledFunction(FieldReader call)
    {
        if (call.Fields("function") is not { } function)
        {
            call.Refuse("function", $"'{call.PathOf("function")}' is required.");
            return [];
        }
        var name = function.Text("name");
        if (string.IsNullOrEmpty(name)) function.Refuse("name", $"'{function.PathOf("name")}' is required.");
        JsonNode? arguments = function.Find("arguments") is { ValueKind: JsonValueKind.Object } ? function.Json("arguments") : function.Text("arguments");
        function.ReportUnread();
        return new JsonObject { ["name"] = name, ["arguments"] = arguments ?? "" };
    }

    /// <summary>What the model thought before an earlier answer: for templates that write it, otherwise of no effect. Clients have two names for it.</summary>
    static void ReadReasoning(FieldReader message, JsonObject read, ServedModel model)
    {
        foreach (var name in (string[])["reasoning_content", "reasoning"])
        {
            if (model.Template is not { KnowsEarlierReasoning: true })
                message.Hint(name, Neutral.EmptyText, "is not supported: the model's chat template leaves earlier reasoning out");
            else if (message.Text(name) is { Length: > 0 } reasoning)
                read["reasoning_content"] = reasoning;
        }
    }

    static string? ReadContent(FieldReader message, bool optional)
    {
        switch (message.Find("content"))
        {
            case null:
                if (!optional) message.Refuse("content", $"'{message.PathOf("content")}' is required.");
                return null;
            case { ValueKind: JsonValueKind.Array }:
                var parts = message.List("content", ApiLimits.Messages) ?? [];
                return string.Join('\n', parts.Select((part, index) => ReadPart(message.Element("content", index, part))));
            default:
                return message.Text("content");
        }
    }

    static string? ReadPart(FieldReader? part)
    {
        if (part is null) return null;
        var type = part.Text("type");
        if (type != "text")
        {
            part.Refuse("type",
                $"'{part.PathOf("type")}' must be \"text\", not {(type is null ? "missing" : $"'{JsonText.Shorten(type)}'")}: this is a text model.");
            return null;
        }
        var text = part.Text("text");
        if (text is null) part.Refuse("text", $"'{part.PathOf("text")}' is required.");
        part.ReportUnread();
        return text;
    }
}

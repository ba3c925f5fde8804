using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>
/// Reads the body of /v1/chat/completions: every field is honoured, reported as ignored, or refused by name. Messages are read into the form
/// that chat templates take: "developer", OpenAI's newer word for "system", becomes the role that templates know; the text parts of one message are joined by
/// line breaks; a name is passed on, and the template decides what to do with it.
/// </summary>
static class ChatRequestRules
{
    /// <summary>Variables of a template that fields of the request are for.</summary>
    static readonly string[] OwnFields = ["messages", "tools", "documents", "add_generation_prompt"];

    public static CompletionRequest Read(FieldReader fields, ServedModel model)
    {
        fields.Model(model);
        OtherFields.ReadShared(fields);
        OtherFields.ReadChat(fields);
        var prompt = ReadPrompt(fields);
        var addSpecialTokens = fields.Flag("add_special_tokens");
        var settings = SettingsRules.Read(fields, model, ReadLogprobs(fields), leastTokens: 1);
        return new CompletionRequest([prompt], addSpecialTokens, Echo: false, settings) { Session = SessionRules.ReadChat(fields) };
    }

    public static RawPrompt.Chat ReadPrompt(FieldReader fields)
        => new(ReadMessages(fields), fields.Flag("add_generation_prompt", otherwise: true)) { Variables = ReadVariables(fields) };

    static Dictionary<string, JsonNode?> ReadVariables(FieldReader fields)
    {
        var variables = new Dictionary<string, JsonNode?>();
        if (fields.Fields("chat_template_kwargs") is not { } given) return variables;
        foreach (var name in given.Names())
        {
            if (OwnFields.Contains(name))
                given.Refuse(name, $"'{given.PathOf(name)}' is not a further variable of the template: '{name}' is a field of the request.");
            else if (given.Find(name) is { } value) variables[name] = JsonNode.Parse(value.GetRawText());
        }
        given.ReportUnread();
        return variables;
    }

    static int? ReadLogprobs(FieldReader fields)
    {
        var wanted = fields.Flag("logprobs");
        var top = fields.Count("top_logprobs", 0, SamplingRanges.MaxTopLogprobs);
        if (top > 0 && !wanted) fields.Refuse("top_logprobs", "'top_logprobs' is only allowed where 'logprobs' is true.");
        return wanted ? top ?? 0 : null;
    }

    public static JsonArray ReadMessages(FieldReader fields)
    {
        var messages = new JsonArray();
        if (fields.Find("messages") is null) fields.Refuse("messages", "'messages' is required.");
        var elements = fields.List("messages", ApiLimits.Messages);
        if (elements is { Length: 0 }) fields.Refuse("messages", "'messages' must hold at least one message.");
        foreach (var (index, element) in (elements ?? []).Index())
        {
            if (fields.Error is not null) break;
            messages.Add(ReadMessage(fields.Element("messages", index, element)));
        }
        return messages;
    }

    static JsonNode? ReadMessage(FieldReader? message)
    {
        if (message is null) return null;
        // Before the role and the content: a turn that calls tools mostly has no content, and should be refused for what it is.
        message.Neutral("tool_calls", Neutral.EmptyList, "is not supported yet: tool calls");
        message.Neutral("function_call", Neutral.Never, "is not supported yet: tool calls");
        message.Neutral("refusal", Neutral.EmptyText, "is not supported");
        message.Neutral("audio", Neutral.Never, "is not supported: this is a text model");
        message.Neutral("annotations", Neutral.EmptyList, "is not supported");
        var read = new JsonObject { ["role"] = ReadRole(message), ["content"] = ReadContent(message) };
        message.Neutral("tool_call_id", Neutral.EmptyText, "is not supported yet: tool calls");
        if (message.Text("name") is { } name) read["name"] = name;
        message.ReportUnread();
        return read;
    }

    static string? ReadRole(FieldReader message)
    {
        var role = message.Text("role");
        switch (role)
        {
            case "system" or "user" or "assistant":
                return role;
            case "developer":
                return "system";
            case "tool" or "function":
                message.Refuse("role", $"'{message.PathOf("role")}': the role '{role}' is not supported yet: tool calls.");
                return role;
            default:
                message.Refuse("role",
                    $"'{message.PathOf("role")}' must be system, developer, user or assistant, not {(role is null ? "missing" : $"'{JsonText.Shorten(role)}'")}.");
                return role;
        }
    }

    static string? ReadContent(FieldReader message)
    {
        switch (message.Find("content"))
        {
            case null:
                message.Refuse("content", $"'{message.PathOf("content")}' is required.");
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

using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;

namespace LlamaCluster.Coordinator.Api.Anthropic;

/// <summary>
/// Reads the content of Anthropic's messages: a text or a list of blocks. Blocks of tools become messages as chat templates know them: calls are part of
/// what the assistant said, results are messages of their own before the user's words.
/// </summary>
static class ContentRules
{
    /// <summary>A field that is a text or a list of text blocks; null if it is absent.</summary>
    public static string? ReadText(FieldReader fields, string name)
    {
        if (fields.Find(name) is not { ValueKind: JsonValueKind.Array }) return fields.Text(name);
        return string.Join('\n', Blocks(fields, name).Select(block =>
        {
            if (block.Text("type") is not "text") RefuseType(block, "\"text\"");
            return EndText(block);
        }));
    }

    public static void ReadUser(FieldReader message, JsonArray messages)
    {
        if (message.Find("content") is not { ValueKind: JsonValueKind.Array })
        {
            messages.Add((JsonNode)new JsonObject { ["role"] = "user", ["content"] = RequiredText(message, "content") });
            return;
        }
        var words = new List<string?>();
        foreach (var block in Blocks(message, "content"))
        {
            switch (block.Text("type"))
            {
                case "text":
                    words.Add(EndText(block));
                    break;
                case "tool_result":
                    messages.Add((JsonNode)ReadResult(block));
                    break;
                default:
                    RefuseType(block, "\"text\" or \"tool_result\"");
                    break;
            }
        }
        if (words.Count > 0) messages.Add((JsonNode)new JsonObject { ["role"] = "user", ["content"] = string.Join('\n', words) });
    }

    public static void ReadAssistant(FieldReader message, JsonArray messages, ServedModel model)
    {
        var read = new JsonObject { ["role"] = "assistant", ["content"] = null };
        messages.Add((JsonNode)read);
        if (message.Find("content") is not { ValueKind: JsonValueKind.Array })
        {
            read["content"] = RequiredText(message, "content");
            return;
        }
        var (words, calls) = (new List<string?>(), new JsonArray());
        foreach (var block in Blocks(message, "content"))
        {
            switch (block.Text("type"))
            {
                case "text":
                    words.Add(EndText(block));
                    break;
                case "tool_use":
                    calls.Add((JsonNode)ReadCall(block));
                    break;
                case "thinking":
                    block.Bookkeeping("signature");
                    if (model.Template is { KnowsEarlierReasoning: true }) read["reasoning_content"] = block.Text("thinking");
                    else block.Hint("thinking", Neutral.EmptyText, "is not supported: the model's chat template leaves earlier reasoning out");
                    block.ReportUnread();
                    break;
                default:
                    RefuseType(block, "\"text\", \"tool_use\" or \"thinking\"");
                    break;
            }
        }
        read["content"] = words.Count == 0 && calls.Count > 0 ? null : string.Join('\n', words);
        if (calls.Count > 0) read["tool_calls"] = calls;
    }

    static JsonObject ReadCall(FieldReader block)
    {
        var name = block.Text("name");
        if (string.IsNullOrEmpty(name)) block.Refuse("name", $"'{block.PathOf("name")}' is required.");
        var id = RequiredText(block, "id");
        block.Fields("input");   // an object, or an error
        var input = block.Json("input") ?? new JsonObject();
        block.Hint("cache_control", Neutral.Never, "is not supported");
        block.ReportUnread();
        return new JsonObject { ["id"] = id, ["type"] = "function", ["function"] = new JsonObject { ["name"] = name, ["arguments"] = input } };
    }

    static JsonObject ReadResult(FieldReader block)
    {
        var id = RequiredText(block, "tool_use_id");
        var content = ReadText(block, "content") ?? "";
        // Chat templates have no place for it, so it goes to where the model reads.
        if (block.Flag("is_error") && !content.StartsWith("Error", StringComparison.OrdinalIgnoreCase)) content = $"Error: {content}";
        block.Hint("cache_control", Neutral.Never, "is not supported");
        block.ReportUnread();
        return new JsonObject { ["role"] = "tool", ["tool_call_id"] = id, ["content"] = content };
    }

    static IEnumerable<FieldReader> Blocks(FieldReader fields, string name)
    {
        foreach (var (index, element) in (fields.List(name, ApiLimits.Messages) ?? []).Index())
            if (fields.Error is null && fields.Element(name, index, element) is { } block) yield return block;
    }

    static string? EndText(FieldReader block)
    {
        var text = RequiredText(block, "text");
        block.Neutral("citations", Neutral.EmptyList, "is not supported");
        block.Hint("cache_control", Neutral.Never, "is not supported");
        block.ReportUnread();
        return text;
    }

    static string? RequiredText(FieldReader fields, string name)
    {
        if (fields.Find(name) is null) fields.Refuse(name, $"'{fields.PathOf(name)}' is required.");
        return fields.Text(name);
    }

    static void RefuseType(FieldReader block, string allowed)
        => block.Refuse("type", $"'{block.PathOf("type")}' must be {allowed}, not '{JsonText.Shorten(block.Text("type") ?? "")}': this is a text model.");
}

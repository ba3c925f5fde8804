using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Text.Templates;

/// <summary>
/// Writes functions, calls and results into plain messages, for templates that know nothing of them: a block of the system message tells the model what
/// there is and how to call it, calls are part of what the assistant said, and results come from the user.
/// </summary>
/// <param name="format">How the model is told to write calls.</param>
sealed class BuiltInToolForm(Func<ToolFormat> format)
{
    internal static readonly JsonSerializerOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="knowsSystem">The template writes system messages; otherwise the first message of the user gets the block.</param>
    public JsonArray WriteTools(JsonArray messages, JsonArray tools, bool knowsSystem)
    {
        var block = Describe(tools);
        var written = Clone(messages);
        var role = knowsSystem ? "system" : "user";
        if (written.FirstOrDefault(message => (string?)message!["role"] == role) is JsonObject first)
            first["content"] = knowsSystem ? Join(first["content"], block) : Join(block, first["content"]);
        else
            written.Insert(0, new JsonObject { ["role"] = role, ["content"] = block });
        return written;
    }

    /// <summary>Calls as part of what the assistant said.</summary>
    public JsonArray WriteCalls(JsonArray messages)
    {
        var written = Clone(messages);
        foreach (var message in written)
        {
            if (message!["tool_calls"] is not JsonArray calls) continue;
            message["content"] = Join(message["content"], string.Join('\n', calls.Select(call => Describe(call!["function"]!.AsObject()))));
            message.AsObject().Remove("tool_calls");
        }
        return written;
    }

    /// <summary>Results as messages of the user. What stands side by side becomes one message: templates mostly want the turns to alternate.</summary>
    public JsonArray WriteResults(JsonArray messages)
    {
        var written = new JsonArray();
        foreach (var message in messages)
        {
            var fields = (JsonObject)message!.DeepClone();
            if ((string?)fields["role"] == "tool")
                fields = new JsonObject { ["role"] = "user", ["content"] = $"<tool_response>\n{TextOf(fields["content"])}\n</tool_response>" };
            if (written.LastOrDefault() is JsonObject before && (string?)before["role"] == "user" && (string?)fields["role"] == "user")
                before["content"] = Join(before["content"], fields["content"]);
            else
                written.Add((JsonNode)fields);
        }
        return written;
    }

    string Describe(JsonArray tools)
    {
        var block = new StringBuilder("You can call functions. To call one, write\n").Append(Call("NAME", """{"ARGUMENT": "VALUE"}"""))
            .Append("\nwith the function's name and an object of its arguments. The result comes in <tool_response> tags. ")
            .Append("If no function is needed, answer without a call. The functions, with JSON schemas of their parameters:\n");
        foreach (var tool in tools) block.Append((tool!["function"] ?? tool).ToJsonString(Plain)).Append('\n');
        return block.ToString().TrimEnd();
    }

    string Describe(JsonObject call) => Call((string)call["name"]!, ToolForms.ToText(call["arguments"]));

    string Call(string name, string arguments) => format() switch
    {
        ToolFormat.FunctionTags => $"<function={name}>{arguments}</function>",
        ToolFormat.LlamaJson or ToolFormat.Pythonic => $$"""{"name": "{{name}}", "parameters": {{arguments}}}""",
        _ => $"<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {arguments}}}\n</tool_call>",
    };

    static JsonArray Clone(JsonArray messages) => (JsonArray)messages.DeepClone();

    static string Join(JsonNode? before, JsonNode? after)
    {
        var (first, second) = (TextOf(before), TextOf(after));
        return first.Length == 0 ? second : second.Length == 0 ? first : $"{first}\n\n{second}";
    }

    static string TextOf(JsonNode? content) => content switch
    {
        null => "",
        JsonValue value when value.TryGetValue<string>(out var text) => text,
        JsonArray parts => string.Join('\n', parts.Select(part => (string?)(part as JsonObject)?["text"] ?? "")),
        _ => content.ToJsonString(Plain),
    };
}

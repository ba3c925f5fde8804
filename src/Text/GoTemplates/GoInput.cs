using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Text.Templates;
using LlamaCluster.Text.Templates.Runtime;

namespace LlamaCluster.Text.GoTemplates;

/// <summary>A turn of a conversation, as templates without .Messages see it.</summary>
sealed record GoTurn(string System, string Prompt, string Response);

/// <summary>
/// What a template is rendered with, in the types that Ollama gives its templates. Neighbours of one role are one message, whose texts have an empty
/// line between them; results of calls stay apart.
/// </summary>
sealed class GoInput
{
    public const string MessageType = "message";

    const string Between = "\n\n";

    readonly IReadOnlyList<Message> _messages;
    readonly IReadOnlyDictionary<string, JsonNode?> _given;

    sealed record Message(string Role, string Content, JsonObject Fields);

    GoInput(ChatTemplateInput input)
    {
        _given = input.Variables;
        var system = new List<string>();
        var groups = new List<(string Role, List<string> Contents, JsonObject First)>();
        foreach (var node in input.Messages as JsonArray ?? throw new TemplateFault("the messages are no list"))
        {
            if (node is not JsonObject fields) throw new TemplateFault("a message is no object");
            var (role, content) = (TextOf(fields["role"]), ContentOf(fields["content"]));
            if (role == "system") system.Add(content);
            if (role != "tool" && groups.Count > 0 && groups[^1].Role == role) groups[^1].Contents.Add(content);
            else groups.Add((role, [content], fields));
        }
        System = string.Join(Between, system);
        _messages = [.. groups.Select(group => new Message(group.Role, string.Join(Between, group.Contents), group.First))];
        Messages = new GoList([.. _messages.Select(MessageOf)]);
        Tools = input.Tools is JsonArray tools ? new GoList([.. tools.Select(ToolOf)], GoPrinting.Json) : GoList.Nil with { Printing = GoPrinting.Json };
    }

    /// <summary>What all system messages say.</summary>
    public string System { get; }

    public GoList Messages { get; }

    public GoList Tools { get; }

    /// <summary>What comes behind the text that is asked for; null: nothing does.</summary>
    public string? Suffix => _given.GetValueOrDefault(GoTemplate.Suffix) is JsonValue suffix && TextOf(suffix) is { Length: > 0 } text ? text : null;

    /// <summary>What the last message says.</summary>
    public string LastPrompt => _messages.LastOrDefault()?.Content ?? "";

    /// <exception cref="TemplateFault">The input has no form that templates know.</exception>
    public static GoInput Of(ChatTemplateInput input)
    {
        try
        {
            return new GoInput(input);
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException or ArgumentException)
        {
            throw new TemplateFault($"the input cannot be used: {failure.Message}");
        }
    }

    /// <summary>The dot of a template: variables of this rendering and those that each has.</summary>
    public GoMap Variables(params IEnumerable<(string Name, object? Value)> variables) => new(
    [
        .. variables.Select(variable => KeyValuePair.Create(variable.Name, variable.Value)),
        KeyValuePair.Create(GoTemplate.Think, (object?)IsSet(GoTemplate.Think)),
        KeyValuePair.Create(GoTemplate.ThinkLevel, (object?)TextOf(_given.GetValueOrDefault(GoTemplate.ThinkLevel))),
        KeyValuePair.Create(GoTemplate.IsThinkSet, (object?)IsSet(GoTemplate.IsThinkSet)),
    ]);

    /// <summary>The conversation in turns: a prompt with its answer each, of which the last may be open.</summary>
    public IReadOnlyList<GoTurn> Turns()
    {
        var turns = new List<GoTurn>();
        var open = new GoTurn("", "", "");
        foreach (var message in _messages)
        {
            if (message.Role == "system" && (open.Prompt.Length > 0 || open.Response.Length > 0) || message.Role == "user" && open.Response.Length > 0)
            {
                turns.Add(open);
                open = new GoTurn("", "", "");
            }
            open = message.Role switch
            {
                "system" => open with { System = message.Content },
                "user" => open with { Prompt = message.Content },
                "assistant" => open with { Response = message.Content },
                _ => open,
            };
        }
        return [.. turns, open];
    }

    bool IsSet(string name) => _given.GetValueOrDefault(name) is JsonValue value && value.GetValueKind() == JsonValueKind.True;

    static GoStruct MessageOf(Message message) => new(MessageType,
    [
        Field("Role", message.Role),
        Field("Content", message.Content),
        Field("Thinking", TextOf(message.Fields["reasoning_content"])),
        Field("Images", GoList.Nil),
        Field("ToolCalls", message.Fields["tool_calls"] is JsonArray { Count: > 0 } calls ? new GoList([.. calls.Select(CallOf)]) : GoList.Nil),
        Field("ToolName", TextOf(message.Fields["name"])),
        Field("ToolCallID", TextOf(message.Fields["tool_call_id"])),
    ]);

    static GoStruct CallOf(JsonNode? call, int index) => new("call",
    [
        Field("ID", TextOf(call?["id"])),
        Field("Function", new GoStruct("function of a call",
        [
            Field("Index", (long)index),
            Field("Name", TextOf(call?["function"]?["name"])),
            Field("Arguments", new GoMap(EntriesOf(Parsed(call?["function"]?["arguments"]), ValueOf), GoPrinting.Json)),
        ])),
    ]);

    static GoField Field(string name, object? value) => new(name, name, value);

    static GoStruct ToolOf(JsonNode? tool)
    {
        var function = tool?["function"];
        var parameters = function?["parameters"];
        return new GoStruct("tool",
        [
            new("Type", "type", TextOf(tool?["type"])),
            new("Items", "items", ValueOf(tool?["items"]), OmitsEmpty: true),
            new("Function", "function", new GoStruct("function",
            [
                new("Name", "name", TextOf(function?["name"])),
                new("Description", "description", TextOf(function?["description"])),
                new("Parameters", "parameters", new GoStruct("parameters",
                [
                    new("Type", "type", TextOf(parameters?["type"])),
                    new("Defs", "$defs", ValueOf(parameters?["$defs"]), OmitsEmpty: true),
                    new("Items", "items", ValueOf(parameters?["items"]), OmitsEmpty: true),
                    new("Required", "required", ListOf(parameters?["required"], ValueOf), OmitsEmpty: true),
                    new("Properties", "properties", new GoMap(EntriesOf(parameters?["properties"], PropertyOf), GoPrinting.Json)),
                ])),
            ])),
        ], GoPrinting.Json);
    }

    static object? PropertyOf(JsonNode? property) => new GoStruct("property",
    [
        new("AnyOf", "anyOf", ListOf(property?["anyOf"], PropertyOf), OmitsEmpty: true),
        new("Type", "type", TypeOf(property?["type"]), OmitsEmpty: true),
        new("Items", "items", ValueOf(property?["items"]), OmitsEmpty: true),
        new("Description", "description", TextOf(property?["description"]), OmitsEmpty: true),
        new("Enum", "enum", ListOf(property?["enum"], ValueOf), OmitsEmpty: true),
        new("Properties", "properties", MapOf(property?["properties"]), OmitsEmpty: true),
        new("Required", "required", ListOf(property?["required"], ValueOf), OmitsEmpty: true),
    ]);

    static GoMap? MapOf(JsonNode? properties) => properties is JsonObject ? new GoMap(EntriesOf(properties, PropertyOf), GoPrinting.Json) : null;

    static GoList TypeOf(JsonNode? type) =>
        (type is JsonArray ? ListOf(type, ValueOf) : new GoList(type is null ? [] : [TextOf(type)])) with { Printing = GoPrinting.Alone };

    static GoList ListOf(JsonNode? list, Func<JsonNode?, object?> read) => list is JsonArray items ? new GoList([.. items.Select(read)]) : GoList.Nil;

    static IEnumerable<KeyValuePair<string, object?>> EntriesOf(JsonNode? node, Func<JsonNode?, object?> read) =>
        node is JsonObject fields ? fields.Select(field => KeyValuePair.Create(field.Key, read(field.Value))) : [];

    /// <summary>Arguments of a call are an object, or its text.</summary>
    static JsonNode? Parsed(JsonNode? arguments) =>
        arguments is JsonValue text && text.GetValueKind() == JsonValueKind.String ? JsonNode.Parse((string)text!) : arguments;

    /// <summary>Any JSON, as Go reads it where it knows no type: all numbers are floats.</summary>
    static object? ValueOf(JsonNode? node) => node switch
    {
        JsonObject fields => new GoMap(EntriesOf(fields, ValueOf)),
        JsonArray list => new GoList([.. list.Select(ValueOf)]),
        JsonValue value => value.GetValueKind() switch
        {
            JsonValueKind.String => (string?)value,
            JsonValueKind.Number => NumberOf(value),
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => null,
        },
        _ => null,
    };

    static double NumberOf(JsonValue value) => double.Parse(value.ToJsonString(), CultureInfo.InvariantCulture) is var number && double.IsFinite(number)
        ? number
        : throw new TemplateFault("a number of the input is too large");

    static string TextOf(JsonNode? node) => node is JsonValue value && value.GetValueKind() == JsonValueKind.String ? (string)value! : "";

    /// <summary>A text, or a list of parts whose texts are one.</summary>
    static string ContentOf(JsonNode? content) => content is JsonArray parts ? string.Concat(parts.Select(part => TextOf(part?["text"]))) : TextOf(content);
}

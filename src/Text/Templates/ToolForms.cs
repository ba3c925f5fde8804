using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Text.Answers;

namespace LlamaCluster.Text.Templates;

/// <summary>
/// Brings functions, calls and their results into the form that a template reads. Clients write a call's arguments as a text of JSON; most templates
/// want an object, some a text; some take one call a message; some know nothing of functions. A template does not say which it is, so it is tried when
/// functions first come. Where it leaves out what it is given, <see cref="BuiltInToolForm"/> writes it into the messages.
/// </summary>
/// <param name="render">The prompt of messages and tools as they are; null if the template refuses them.</param>
sealed class ToolForms(Func<JsonArray, JsonNode?, string?> render)
{
    const string Words = "whereisthistext";
    const string TrialResult = "thisistheresult";
    const string TrialName = "a_function";

    readonly Lazy<bool> _knowsTools = new(() =>
        render([Message("user", "a")], TrialTools()) is { } prompt && (Shows(prompt) || prompt.Contains(TrialName, StringComparison.Ordinal)));
    readonly Lazy<bool> _knowsSystem = new(() => Shows(render([Message("system", Words), Message("user", "a")], null)));
    readonly Lazy<Arguments> _arguments = new(() => FindArguments(render));
    readonly Lazy<bool> _knowsResults = new(() => FindResults(render));
    readonly Lazy<bool> _knowsSeveralCalls = new(() => TrialArguments().Any(arguments => render(Conversation(arguments, calls: 2), TrialTools()) is not null));

    enum Arguments
    {
        /// <summary>The template does not write calls.</summary>
        Unknown,
        Object,
        Text,
    }

    /// <summary>The template writes functions itself.</summary>
    public bool KnowsTools => _knowsTools.Value;

    /// <param name="format">How the model writes calls.</param>
    public ChatTemplateInput Apply(ChatTemplateInput input, Func<ToolFormat> format)
    {
        if (input.Messages is not JsonArray messages) return input;
        var builtIn = new BuiltInToolForm(format);
        if (Holds(messages, HasCalls)) messages = _arguments.Value is Arguments.Unknown ? builtIn.WriteCalls(messages) : Native(messages);
        if (Holds(messages, IsResult) && !_knowsResults.Value) messages = builtIn.WriteResults(messages);
        if (input.Tools is not JsonArray { Count: > 0 } tools) return ReferenceEquals(messages, input.Messages) ? input : input with { Messages = messages };
        return KnowsTools
            ? input with { Messages = messages }
            : input with { Messages = builtIn.WriteTools(messages, tools, _knowsSystem.Value), Tools = null };
    }

    static bool Holds(JsonArray messages, Func<JsonObject, bool> what)
    {
        try
        {
            foreach (var message in messages)
                if (message is JsonObject fields && what(fields)) return true;
        }
        catch (Exception unusable) when (unusable is ArgumentException or InvalidOperationException)
        {
            return false;   // a name is there twice, or a text is none: what reads the variables knows what to make of it
        }
        return false;
    }

    static bool HasCalls(JsonObject message) => message["tool_calls"] is JsonArray { Count: > 0 };

    static bool IsResult(JsonObject message) => RoleOf(message) is "tool";

    static string? RoleOf(JsonObject message) => (message["role"] as JsonValue)?.TryGetValue<string>(out var role) == true ? role : null;

    JsonArray Native(JsonArray messages)
    {
        var written = new JsonArray();
        var names = new Dictionary<string, string>();
        for (var at = 0; at < messages.Count; at++)
        {
            var message = (JsonObject)messages[at]!.DeepClone();
            if (IsResult(message) && message["name"] is null && NameOf(message, names) is { } name) message["name"] = name;
            if (!HasCalls(message))
            {
                written.Add((JsonNode)message);
                continue;
            }
            foreach (var call in message["tool_calls"]!.AsArray())
                if ((string?)call!["id"] is { } id) names[id] = (string)call["function"]!["name"]!;
            Prepare(message);
            if (message["tool_calls"]!.AsArray().Count > 1 && !_knowsSeveralCalls.Value) at = Separate(message, messages, at, names, written);
            else written.Add((JsonNode)message);
        }
        return written;
    }

    static string? NameOf(JsonObject result, Dictionary<string, string> names)
        => (string?)result["tool_call_id"] is { } id ? names.GetValueOrDefault(id) : null;

    void Prepare(JsonObject message)
    {
        message["content"] ??= "";   // templates that read it next to calls mostly take null for an error
        foreach (var call in message["tool_calls"]!.AsArray())
        {
            var function = call!["function"]!.AsObject();
            if (_arguments.Value is Arguments.Object) function["arguments"] = ToObject(function["arguments"]);
            else function["arguments"] = ToText(function["arguments"]);
        }
    }

    /// <summary>A message for each call, with the result of the call behind it.</summary>
    /// <returns>The place of the last message that was used up.</returns>
    static int Separate(JsonObject message, JsonArray messages, int at, Dictionary<string, string> names, JsonArray written)
    {
        var results = new List<JsonObject>();
        while (at + 1 < messages.Count && messages[at + 1] is JsonObject next && IsResult(next))
        {
            results.Add((JsonObject)next.DeepClone());
            at++;
        }
        var calls = message["tool_calls"]!.AsArray();
        foreach (var (index, call) in calls.Index())
        {
            var one = (JsonObject)message.DeepClone();
            if (index > 0) one["content"] = "";
            one["tool_calls"] = new JsonArray(call!.DeepClone());
            written.Add((JsonNode)one);
            var result = results.FindIndex(result => (string?)result["tool_call_id"] is { } id && id == (string?)call["id"]);
            if (result < 0) continue;
            Add(results[result]);
            results.RemoveAt(result);
        }
        foreach (var left in results) Add(left);
        return at;

        void Add(JsonObject result)
        {
            if (result["name"] is null && NameOf(result, names) is { } name) result["name"] = name;
            written.Add((JsonNode)result);
        }
    }

    internal static JsonNode ToObject(JsonNode? arguments)
    {
        if (arguments is not JsonValue value || !value.TryGetValue<string>(out var text)) return arguments?.DeepClone() ?? new JsonObject();
        if (string.IsNullOrWhiteSpace(text)) return new JsonObject();
        try
        {
            return JsonNode.Parse(text) is JsonObject parsed ? parsed : text;
        }
        catch (JsonException)
        {
            return text;   // a model wrote it, and may have been cut off
        }
    }

    internal static string ToText(JsonNode? arguments)
        => arguments is JsonValue value && value.TryGetValue<string>(out var text) ? text : (arguments ?? new JsonObject()).ToJsonString(BuiltInToolForm.Plain);

    static Arguments FindArguments(Func<JsonArray, JsonNode?, string?> render)
    {
        // An object may come out in any spacing, a text that is taken for a value comes out with its quotes escaped.
        if (render(Conversation(TrialObject(), calls: 1), TrialTools()) is { } fromObject && ShowsCall(fromObject)) return Arguments.Object;
        return render(Conversation(TrialObject().ToJsonString(), calls: 1), TrialTools()) is { } fromText && ShowsCall(fromText)
            ? Arguments.Text
            : Arguments.Unknown;
    }

    static bool ShowsCall(string prompt) => prompt.Contains($"\"{Words}\"", StringComparison.Ordinal);

    /// <summary>Some templates take a result only behind a call, some only know the role.</summary>
    static bool FindResults(Func<JsonArray, JsonNode?, string?> render)
    {
        JsonArray alone =
        [
            Message("user", "a"),
            new JsonObject { ["role"] = "tool", ["tool_call_id"] = "call00000", ["name"] = TrialName, ["content"] = TrialResult },
        ];
        return TrialArguments().Select(arguments => Conversation(arguments, calls: 1)).Append(alone)
            .Any(messages => render(messages, TrialTools())?.Contains(TrialResult, StringComparison.Ordinal) == true);
    }

    static bool Shows(string? prompt) => prompt?.Contains(Words, StringComparison.OrdinalIgnoreCase) == true;

    static JsonNode[] TrialArguments() => [TrialObject(), TrialObject().ToJsonString()];

    static JsonObject TrialObject() => new() { ["a"] = Words };

    static JsonArray TrialTools() =>
    [
        new JsonObject
        {
            ["type"] = "function",
            ["function"] = new JsonObject
            {
                ["name"] = TrialName,
                ["description"] = Words,
                ["parameters"] = new JsonObject
                {
                    ["type"] = "object",
                    ["properties"] = new JsonObject { ["a"] = new JsonObject { ["type"] = "string", ["description"] = "b" } },
                },
            },
        },
    ];

    /// <summary>Calls, their results, and what the assistant made of them.</summary>
    static JsonArray Conversation(JsonNode arguments, int calls)
    {
        var messages = new JsonArray(Message("user", "a"));
        var called = new JsonObject { ["role"] = "assistant", ["content"] = "", ["tool_calls"] = new JsonArray() };
        messages.Add((JsonNode)called);
        for (var call = 0; call < calls; call++)
        {
            var id = $"call{call:00000}";
            called["tool_calls"]!.AsArray().Add((JsonNode)new JsonObject
            {
                ["id"] = id,
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = TrialName, ["arguments"] = arguments.DeepClone() },
            });
            messages.Add((JsonNode)new JsonObject { ["role"] = "tool", ["tool_call_id"] = id, ["name"] = TrialName, ["content"] = TrialResult });
        }
        messages.Add((JsonNode)Message("assistant", "b"));
        messages.Add((JsonNode)Message("user", "c"));
        return messages;
    }

    static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };
}

using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Text.GoTemplates;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Api.Ollama;

/// <summary>
/// Reads the bodies of Ollama's /api/chat and /api/generate into what chat completions are read into too.
/// See https://github.com/ollama/ollama/blob/main/docs/api.md.
/// </summary>
static class OllamaRules
{
    /// <summary>Ollama's tag for a name without one.</summary>
    const string DefaultTag = ":latest";

    public static CompletionRequest ReadChat(FieldReader fields, ServedModel model)
    {
        model = ReadShared(fields, model);
        var think = ReadThink(fields, model);
        fields.Neutral("tool_choice", Neutral.Text("auto"), "is not supported in Ollama's API: use /v1/chat/completions");
        var prompt = new RawPrompt.Chat(ReadMessages(fields, model), AddGenerationPrompt: true)
        {
            Variables = think.Variables,
            Tools = ToolRules.ReadNested(fields),
        };
        return new CompletionRequest([prompt], AddSpecialTokens: false, Echo: false, Settings(fields, model)) { Tools = prompt.Tools, MayReason = think.May };
    }

    public static CompletionRequest ReadGenerate(FieldReader fields, ServedModel model)
    {
        model = ReadShared(fields, model);
        fields.Neutral("images", Neutral.EmptyList, "is not supported: this is a text model");
        if (ReadTemplate(fields) is { } template) return ReadTemplated(fields, model, template);
        var think = ReadThink(fields, model);
        var raw = fields.Flag("raw") || model.Template is null;
        var words = fields.Text("prompt") ?? "";
        var system = fields.Text("system") ?? "";
        var before = ReadContext(fields, model);
        RawPrompt prompt = raw
            ? new RawPrompt.Text(system.Length > 0 ? $"{system}\n\n{words}" : words) { Before = before }
            : new RawPrompt.Chat(Conversation(system, words), AddGenerationPrompt: true) { Variables = think.Variables, Before = before };
        var asked = fields.Text("suffix") is { Length: > 0 } ? ReadInfill(fields, model, words) : [prompt];
        var settings = InfillRules.End(Settings(fields, model) with { KeepsIds = true }, model, asked);
        return new CompletionRequest(asked, AddSpecialTokens: raw && before.Count == 0, Echo: false, settings) { MayReason = think.May };
    }

    /// <summary>The request's own template; null where there is none, or where it is refused.</summary>
    static GoTemplate? ReadTemplate(FieldReader fields)
    {
        const string name = "template";
        if (fields.Text(name) is not { Length: > 0 } source) return null;
        if (fields.Flag("raw")) fields.Refuse(name, $"'{name}' has no place beside 'raw', which leaves templates out.");
        try
        {
            return GoTemplate.Parse(source);
        }
        catch (GoTemplateException wrong)
        {
            fields.Refuse(name, $"'{name}' cannot be read: {wrong.Message}");
            return null;
        }
    }

    /// <summary>A prompt that the request's own template makes. Ollama's templates write no bos: it stands before them, unless they begin with it.</summary>
    static CompletionRequest ReadTemplated(FieldReader fields, ServedModel model, GoTemplate template)
    {
        var suffix = fields.Text("suffix") ?? "";
        if (suffix.Length > 0 && !template.Uses(GoTemplate.Suffix)) fields.Refuse("suffix", "'suffix' has no place in 'template', which has no .Suffix.");
        var system = fields.Text("system") ?? "";
        if (suffix.Length > 0) fields.Hint("system", Neutral.EmptyText, "has no effect beside 'suffix'");
        var think = ReadThinkVariables(fields, template);
        var variables = suffix.Length > 0 ? new Dictionary<string, JsonNode?>(think.Variables) { [GoTemplate.Suffix] = suffix } : think.Variables;
        var before = ReadContext(fields, model);
        var prompt = new RawPrompt.Chat(Conversation(suffix.Length > 0 ? "" : system, fields.Text("prompt") ?? ""), AddGenerationPrompt: true)
        {
            Template = template,
            Variables = variables,
            Before = before,
        };
        var settings = InfillRules.End(Settings(fields, model) with { KeepsIds = true }, model, [prompt]);
        var writesBos = model.BosText.Length > 0 && template.Source.StartsWith(model.BosText, StringComparison.Ordinal);
        return new CompletionRequest([prompt], AddSpecialTokens: before.Count == 0 && !writesBos, Echo: false, settings) { MayReason = think.May };
    }

    static IReadOnlyList<int> ReadContext(FieldReader fields, ServedModel model) =>
        fields.TokenIds("context", fields.List("context", int.MaxValue) ?? [], model.Tokenizer.VocabularySize);

    /// <summary>As in Ollama's templates of models that fill in, a suffix leaves no room for a conversation.</summary>
    static IReadOnlyList<RawPrompt> ReadInfill(FieldReader fields, ServedModel model, string words)
    {
        fields.Hint("system", Neutral.EmptyText, "has no effect beside 'suffix'");
        fields.Neutral("context", Neutral.EmptyList, "cannot be gone on from with 'suffix'");
        return InfillRules.Apply(fields, model, [new RawPrompt.Text(words)]);
    }

    /// <summary>A request without words only asks to load the model, or to unload it.</summary>
    public static bool IsOnlyLoad(CompletionRequest request) => request.Prompts[0] switch
    {
        RawPrompt.Chat { Messages.Count: 0 } => true,
        RawPrompt.Chat { Before.Count: 0, Messages: [JsonObject only] } => (string?)only["content"] is "",
        RawPrompt.Text { Before.Count: 0, Written: "" } => true,
        _ => false,
    };

    /// <summary>The field "model", which has Ollama's tag at most.</summary>
    public static void ReadModel(FieldReader fields, string name, ServedModel model)
    {
        if (fields.Find(name) is null) fields.Refuse(name, $"'{name}' is required.");
        if (fields.Text(name) is { } asked && !IsServed(asked, model))
            fields.NameAdapter(
                asked.EndsWith(DefaultTag, StringComparison.Ordinal) && model.Adapters.Find(asked) is null ? asked[..^DefaultTag.Length] : asked, model);
    }

    public static bool IsServed(string asked, ServedModel model) => asked == model.Name || asked == model.Name + DefaultTag;

    static ServedModel ReadShared(FieldReader fields, ServedModel model)
    {
        ReadModel(fields, "model", model);
        fields.Bookkeeping("keep_alive");   // the model stays loaded as long as the cluster runs
        fields.Hint("truncate", Neutral.Boolean, "must be true or false: a prompt that is too long is refused");
        fields.Hint("shift", Neutral.Boolean, "must be true or false: an answer ends where the context does");
        fields.Hint("logprobs", Neutral.False, "is not supported in Ollama's API: use /v1/chat/completions");
        fields.Hint("top_logprobs", Neutral.Zero, "is not supported in Ollama's API: use /v1/chat/completions");
        return model.Named(fields.Adapter);
    }

    static JsonArray Conversation(string system, string words)
    {
        var messages = new JsonArray();
        if (system.Length > 0) messages.Add((JsonNode)new JsonObject { ["role"] = "system", ["content"] = system });
        messages.Add((JsonNode)new JsonObject { ["role"] = "user", ["content"] = words });
        return messages;
    }

    static GenerationSettings Settings(FieldReader fields, ServedModel model)
    {
        var settings = OllamaOptions.Read(fields, model) with { Stream = fields.Flag("stream", otherwise: true) };
        return fields.Find("format") switch
        {
            null => settings,
            { ValueKind: JsonValueKind.Object } => settings with { Grammar = new("format", GrammarSource.OfSchema(fields.Json("format"))) },
            _ => fields.Text("format") switch
            {
                "json" => settings with { Grammar = new("format", GrammarSource.AnyObject) },
                null or "" => settings,
                _ => Refuse(fields, settings),
            },
        };
    }

    static GenerationSettings Refuse(FieldReader fields, GenerationSettings settings)
    {
        fields.Refuse("format", "'format' must be \"json\" or a JSON schema.");
        return settings;
    }

    /// <summary>Whether the model is to think first: a variable of templates that let it be chosen.</summary>
    static (bool May, IReadOnlyDictionary<string, JsonNode?> Variables) ReadThink(FieldReader fields, ServedModel model)
    {
        if (model.Template is not { KnowsReasoning: true })
        {
            fields.Hint("think", Neutral.False, "is not supported: this model does not reason apart from its answer");
            return (true, new Dictionary<string, JsonNode?>());
        }
        if (fields.Find("think") is null) return (true, new Dictionary<string, JsonNode?>());
        var think = fields.Find("think") is { ValueKind: JsonValueKind.String } ? fields.Text("think") is not "" : fields.Flag("think");
        return (think, new Dictionary<string, JsonNode?> { ["enable_thinking"] = think });
    }

    /// <summary>The same for the request's own template: true, false or a level, which is a text.</summary>
    static (bool May, IReadOnlyDictionary<string, JsonNode?> Variables) ReadThinkVariables(FieldReader fields, GoTemplate template)
    {
        if (!template.Uses(GoTemplate.Think) && !template.Uses(GoTemplate.ThinkLevel) && !template.Uses(GoTemplate.IsThinkSet))
        {
            fields.Hint("think", Neutral.False, "has no place in 'template', which has no .Think");
            return (true, new Dictionary<string, JsonNode?>());
        }
        if (fields.Find("think") is null) return (true, new Dictionary<string, JsonNode?>());
        var level = fields.Find("think") is { ValueKind: JsonValueKind.String } ? fields.Text("think") ?? "" : "";
        var think = level.Length > 0 || fields.Find("think") is not { ValueKind: JsonValueKind.String } && fields.Flag("think");
        return (think, new Dictionary<string, JsonNode?> { [GoTemplate.Think] = think, [GoTemplate.ThinkLevel] = level, [GoTemplate.IsThinkSet] = true });
    }

    static JsonArray ReadMessages(FieldReader fields, ServedModel model)
    {
        var messages = new JsonArray();
        foreach (var (index, element) in (fields.List("messages", ApiLimits.Messages) ?? []).Index())
        {
            if (fields.Error is not null || fields.Element("messages", index, element) is not { } message) break;
            messages.Add((JsonNode)ReadMessage(message, messages, model));
            message.ReportUnread();
        }
        return messages;
    }

    /// <summary>Calls have no ids in Ollama's API: a result belongs to the first call before it that has none yet, or to the one of its name.</summary>
    static JsonObject ReadMessage(FieldReader message, JsonArray before, ServedModel model)
    {
        var role = message.Text("role");
        if (role is not ("system" or "user" or "assistant" or "tool"))
            message.Refuse("role",
                $"'{message.PathOf("role")}' must be system, user, assistant or tool, not {(role is null ? "missing" : $"'{JsonText.Shorten(role)}'")}.");
        message.Neutral("images", Neutral.EmptyList, "is not supported: this is a text model");
        var calls = MessageRules.ReadCalls(message);
        var read = new JsonObject { ["role"] = role, ["content"] = message.Text("content") ?? "" };
        if (message.Text("thinking") is { Length: > 0 } thinking && model.Template is { KnowsEarlierReasoning: true }) read["reasoning_content"] = thinking;
        foreach (var (index, call) in calls.Index()) call!["id"] ??= $"call_{before.Count}_{index}";
        if (calls.Count > 0) read["tool_calls"] = calls;
        if (role is not "tool") return read;
        var name = message.Text("tool_name") ?? message.Text("name");
        if (name is not null) read["name"] = name;
        if ((message.Text("tool_call_id") ?? FindCall(before, name)) is { } id) read["tool_call_id"] = id;
        return read;
    }

    static string? FindCall(JsonArray messages, string? name)
    {
        var answered = messages.Select(message => (string?)message!["tool_call_id"]).ToHashSet();
        var open = messages.SelectMany(message => message!["tool_calls"] as JsonArray ?? []).Where(call => !answered.Contains((string?)call!["id"])).ToList();
        return (string?)(open.FirstOrDefault(call => name is not null && (string?)call!["function"]!["name"] == name) ?? open.FirstOrDefault())?["id"];
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Api.Anthropic;

/// <summary>
/// Reads the bodies of Anthropic's /v1/messages and /v1/messages/count_tokens into what chat completions are read into too.
/// See https://docs.anthropic.com/en/api/messages.
/// </summary>
static class MessagesRules
{
    const string Unsupported = "is not supported";

    static readonly (string Name, Func<JsonElement, bool> ChangesNothing, string Reason)[] Hints =
    [
        ("thinking", Neutral.OfType("disabled"), "is not supported: whether the model thinks is a matter of its chat template"),
        ("service_tier", Neutral.Text("auto", "standard_only"), "must be \"auto\" or \"standard_only\": there are no other tiers"),
        ("cache_control", Neutral.Never, "is not supported: prompts that begin alike share their KV without it"),
        ("context_management", Neutral.Never, Unsupported),
    ];

    static readonly (string Name, Func<JsonElement, bool> ChangesNothing, string Reason)[] Others =
    [
        ("mcp_servers", Neutral.EmptyList, "is not supported: this server runs no tools itself"),
        ("container", Neutral.Never, "is not supported: this server runs no tools itself"),
        ("output_format", Neutral.Never, "is not supported yet"),
    ];

    public static CompletionRequest Read(FieldReader fields, ServedModel model)
    {
        var prompt = ReadPrompt(fields, model);
        var stopIds = model.Named(fields.Adapter).Tokenizer.StopIds;
        var metadata = fields.Fields("metadata");
        var user = metadata?.Text("user_id");
        metadata?.ReportUnread();
        var settings = new GenerationSettings
        {
            Sampling = new SamplingOptions
            {
                Temperature = fields.Number(SamplingRanges.Temperature) ?? 1,
                TopP = fields.Number(SamplingRanges.TopP) ?? 1,
                TopK = Math.Max(0, fields.Count("top_k", -1, int.MaxValue) ?? 0),
            },
            MaxTokens = fields.Count("max_tokens", 1, int.MaxValue),
            Stops = SettingsRules.ReadStops(fields, "stop_sequences"),
            StopIds = stopIds,
            User = user,
            Stream = fields.Flag("stream"),
        };
        return new CompletionRequest([prompt], AddSpecialTokens: false, Echo: false, settings) { Tools = prompt.Tools, MayReason = true };
    }

    /// <summary>The conversation and its tools alone: what is counted.</summary>
    public static RawPrompt.Chat ReadPrompt(FieldReader fields, ServedModel model)
    {
        model = fields.Model(model);
        foreach (var (name, changesNothing, reason) in Hints) fields.Hint(name, changesNothing, reason);
        foreach (var (name, changesNothing, reason) in Others) fields.Neutral(name, changesNothing, reason);
        var messages = new JsonArray();
        if (ContentRules.ReadText(fields, "system") is { Length: > 0 } system)
            messages.Add((JsonNode)new JsonObject { ["role"] = "system", ["content"] = system });
        if (fields.Find("messages") is null) fields.Refuse("messages", "'messages' is required.");
        var elements = fields.List("messages", ApiLimits.Messages);
        if (elements is { Length: 0 }) fields.Refuse("messages", "'messages' must hold at least one message.");
        foreach (var (index, element) in (elements ?? []).Index())
        {
            if (fields.Error is not null || fields.Element("messages", index, element) is not { } message) break;
            ReadMessage(message, messages, model);
            message.ReportUnread();
        }
        // The model goes on with words that the client has put into its mouth.
        var continues = ChatRequestRules.IsWordsOfAssistant(messages);
        return new(messages, AddGenerationPrompt: !continues) { ContinuesLast = continues, Tools = ReadTools(fields) };
    }

    static void ReadMessage(FieldReader message, JsonArray messages, ServedModel model)
    {
        switch (message.Text("role"))
        {
            case "user":
                ContentRules.ReadUser(message, messages);
                break;
            case "assistant":
                ContentRules.ReadAssistant(message, messages, model);
                break;
            case "system":
                messages.Add((JsonNode)new JsonObject { ["role"] = "system", ["content"] = ContentRules.ReadText(message, "content") });
                break;
            case var role:
                message.Refuse("role",
                    $"'{message.PathOf("role")}' must be user or assistant, not {(role is null ? "missing" : $"'{JsonText.Shorten(role)}'")}.");
                break;
        }
    }

    static ToolUse? ReadTools(FieldReader fields)
    {
        var (choice, named, parallel) = ReadChoice(fields);
        var functions = ToolRules.ReadAll(fields, fields.List("tools", ApiLimits.Tools) ?? [], tool =>
        {
            if (tool.Text("type") is { } type and not "custom")
                tool.Refuse("type", $"'{tool.PathOf("type")}' must be \"custom\", not '{JsonText.Shorten(type)}': this server runs no tools itself.");
            tool.Hint("cache_control", Neutral.Never, Unsupported);
            return ToolRules.ReadFunction(tool, "input_schema", choice is ToolChoice.Required);
        });
        return ToolRules.Make(fields, "tool_choice", functions, choice, named, parallel);
    }

    static (ToolChoice? Choice, string? Named, bool Parallel) ReadChoice(FieldReader fields)
    {
        if (fields.Fields("tool_choice") is not { } choice) return (ToolChoice.Auto, null, true);
        var parallel = !choice.Flag("disable_parallel_tool_use");
        var type = choice.Text("type");
        var name = type == "tool" ? choice.Text("name") : null;
        if (type == "tool" && name is null) choice.Refuse("name", $"'{choice.PathOf("name")}' is required.");
        if (type is not ("auto" or "any" or "tool" or "none"))
            choice.Refuse("type", $"'{choice.PathOf("type")}' must be \"auto\", \"any\", \"tool\" or \"none\", not '{JsonText.Shorten(type ?? "")}'.");
        choice.ReportUnread();
        return (type switch { "any" or "tool" => ToolChoice.Required, "none" => null, _ => ToolChoice.Auto }, name, parallel);
    }
}

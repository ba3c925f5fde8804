using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Api.OpenAiResponses;

/// <summary>
/// A request to OpenAI's /v1/responses: what is generated, and what of it the response repeats.
/// See https://platform.openai.com/docs/api-reference/responses.
/// </summary>
/// <param name="Completion">Its prompt is empty until <see cref="ResponseConversation"/> has put it behind what was said before.</param>
/// <param name="Ids">Of the response and its items.</param>
/// <param name="Input">The items that came with it, each with an id.</param>
/// <param name="Repeated">Fields of the response object that are the request's, by name.</param>
sealed record ResponsesRequest(
    CompletionRequest Completion, ResponseIds Ids, JsonArray Input, string? Instructions, string? PreviousId, bool Store, JsonObject Repeated);

/// <summary>Reads the body of /v1/responses: every field is honoured, reported as ignored, or refused by name.</summary>
sealed class ResponsesRules(ServedModel model)
{
    static readonly string[] Bookkeeping = ["metadata", "prompt_cache_key", "safety_identifier"];

    static readonly (string Name, Func<JsonElement, bool> ChangesNothing, string Reason)[] Hints =
    [
        ("service_tier", Neutral.Text("auto", "default"), "must be \"auto\" or \"default\": there are no other tiers"),
        ("reasoning", Neutral.Never, "is not supported: whether the model reasons is a matter of its chat template"),
        ("include", Neutral.EmptyList, "is not supported"),
        ("top_logprobs", Neutral.Zero, "is not supported here: use /v1/chat/completions"),
        ("max_tool_calls", Neutral.Never, "is not supported: this server runs no tools itself"),
        ("prompt_cache_retention", Neutral.Never, "is not supported"),
        ("truncation", Neutral.Text("disabled"), "other than \"disabled\" is not supported: a prompt that is too long is refused"),
        ("session_id", Neutral.Never, "is not supported here: use 'previous_response_id'"),
        ("client_metadata", Neutral.Never, "is not supported"),
    ];

    static readonly (string Name, Func<JsonElement, bool> ChangesNothing, string Reason)[] Others =
    [
        ("background", Neutral.False, "is not supported: a response is made while its client waits"),
        ("conversation", Neutral.Never, "is not supported: use 'previous_response_id'"),
        ("prompt", Neutral.Never, "is not supported: there are no stored prompts"),
    ];

    public ResponsesRequest Read(FieldReader fields)
    {
        var named = fields.Model(model);
        foreach (var name in Bookkeeping) fields.Bookkeeping(name);
        foreach (var (name, changesNothing, reason) in Hints) fields.Hint(name, changesNothing, reason);
        foreach (var (name, changesNothing, reason) in Others) fields.Neutral(name, changesNothing, reason);
        var previous = fields.Text("previous_response_id");
        var ids = new ResponseIds();
        var input = new InputItems(named, ids).Read(fields);
        var instructions = fields.Find("instructions") is { ValueKind: JsonValueKind.Array } ? null : fields.Text("instructions");
        if (fields.Find("instructions") is { ValueKind: JsonValueKind.Array }) fields.Refuse("instructions", "'instructions' must be a string.");
        var tools = ToolRules.ReadFlat(fields);
        var keep = fields.Flag("store", otherwise: true);
        var settings = ReadSettings(fields, named);
        var prompt = new RawPrompt.Chat([], AddGenerationPrompt: true) { Tools = tools };
        var completion = new CompletionRequest([prompt], AddSpecialTokens: false, Echo: false, settings) { Tools = tools, MayReason = true };
        return new ResponsesRequest(completion, ids, input, instructions, previous, keep, ReadRepeated(fields, settings, instructions, previous, keep));
    }

    static GenerationSettings ReadSettings(FieldReader fields, ServedModel named)
    {
        var stream = fields.Flag("stream");
        if (fields.Fields("stream_options") is { } options)
        {
            options.Hint("include_obfuscation", Neutral.False, "is not supported");
            options.ReportUnread();
        }
        var grammar = ReadFormat(fields);
        return new GenerationSettings
        {
            Sampling = new SamplingOptions
            {
                Temperature = fields.Number(SamplingRanges.Temperature) ?? 1,
                TopP = fields.Number(SamplingRanges.TopP) ?? 1,
            },
            MaxTokens = fields.Count("max_output_tokens", 1, int.MaxValue),
            MaxTokensField = "max_output_tokens",
            StopIds = named.Tokenizer.StopIds,
            User = fields.Text("user"),
            Stream = stream,
            Grammar = grammar,
        };
    }

    static AskedGrammar? ReadFormat(FieldReader fields)
    {
        if (fields.Fields("text") is not { } text) return null;
        text.Hint("verbosity", Neutral.Text("medium"), "is not supported");
        AskedGrammar? grammar = null;
        if (text.Fields("format") is { } format)
        {
            switch (format.Text("type"))
            {
                case "text":
                    break;
                case "json_object":
                    grammar = new(format.PathOf("type"), GrammarSource.AnyObject);
                    break;
                case "json_schema":
                    foreach (var name in (string[])["name", "description", "strict"]) format.Bookkeeping(name);
                    if (format.Fields("schema") is null) format.Refuse("schema", $"'{format.PathOf("schema")}' is required.");
                    grammar = new(format.PathOf("schema"), GrammarSource.OfSchema(format.Json("schema")));
                    break;
                case var type:
                    format.Refuse("type",
                        $"'{format.PathOf("type")}' must be \"text\", \"json_object\" or \"json_schema\", not '{JsonText.Shorten(type ?? "")}'.");
                    break;
            }
            format.ReportUnread();
        }
        text.ReportUnread();
        return grammar;
    }

    static JsonObject ReadRepeated(FieldReader fields, GenerationSettings settings, string? instructions, string? previous, bool keep) => new()
    {
        ["instructions"] = instructions,
        ["max_output_tokens"] = settings.MaxTokens,
        ["metadata"] = fields.Json("metadata") ?? new JsonObject(),
        ["parallel_tool_calls"] = fields.Flag("parallel_tool_calls", otherwise: true),
        ["previous_response_id"] = previous,
        ["reasoning"] = new JsonObject { ["effort"] = null, ["summary"] = null },
        ["service_tier"] = "default",
        ["store"] = keep,
        ["temperature"] = settings.Sampling.Temperature,
        ["text"] = fields.Json("text") ?? new JsonObject { ["format"] = new JsonObject { ["type"] = "text" } },
        ["tool_choice"] = fields.Json("tool_choice") ?? "auto",
        ["tools"] = fields.Json("tools") ?? new JsonArray(),
        ["top_p"] = settings.Sampling.TopP,
        ["truncation"] = "disabled",
        ["user"] = settings.User,
    };
}

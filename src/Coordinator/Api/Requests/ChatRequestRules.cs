using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>Reads the body of /v1/chat/completions: every field is honoured, reported as ignored, or refused by name.</summary>
static class ChatRequestRules
{
    /// <summary>Variables of a template that fields of the request are for.</summary>
    static readonly string[] OwnFields = ["messages", "tools", "documents", "add_generation_prompt"];

    public static CompletionRequest Read(FieldReader fields, ServedModel model)
    {
        fields.Model(model);
        model = OtherFields.ReadShared(fields, model);
        OtherFields.ReadChat(fields);
        var prompt = ReadPrompt(fields, model);
        var addSpecialTokens = fields.Flag("add_special_tokens");
        var settings = SettingsRules.Read(fields, model, ReadLogprobs(fields), leastTokens: 1);
        return new CompletionRequest([prompt], addSpecialTokens, Echo: false, settings)
        {
            Tools = prompt.Tools,
            MayReason = true,
            Session = SessionRules.ReadChat(fields),
        };
    }

    public static RawPrompt.Chat ReadPrompt(FieldReader fields, ServedModel model)
    {
        var messages = MessageRules.Read(fields, model);
        var continues = fields.Flag("continue_final_message");
        var opens = fields.Flag("add_generation_prompt", otherwise: !continues);
        if (continues && opens)
            fields.Refuse("continue_final_message", "'continue_final_message' and 'add_generation_prompt' cannot both be true: an answer goes on or begins.");
        if (continues && !IsWordsOfAssistant(messages))
            fields.Refuse("continue_final_message", "'continue_final_message' needs a last message of the assistant with words and without calls.");
        return new(messages, opens) { ContinuesLast = continues, Variables = ReadVariables(fields), Tools = ToolRules.ReadNested(fields) };
    }

    /// <summary>The last message is text that the assistant can go on with.</summary>
    public static bool IsWordsOfAssistant(JsonArray messages)
        => messages.LastOrDefault() is JsonObject last && (string?)last["role"] == "assistant" && last["tool_calls"] is null;

    /// <summary>Further variables of the chat template.</summary>
    public static Dictionary<string, JsonNode?> ReadVariables(FieldReader fields)
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
}

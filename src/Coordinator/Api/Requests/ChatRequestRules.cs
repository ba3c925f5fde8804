using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.Requests;

/// <summary>Reads the body of /v1/chat/completions: every field is honoured or refused by name.</summary>
static class ChatRequestRules
{
    public static ApiOutcome<ChatRequest> Read(JsonElement body, ServedModel model)
    {
        var fields = new FieldReader(body, "", new FirstError());
        ModelRules.Read(fields, model);
        OtherFields.ReadShared(fields);
        OtherFields.ReadChat(fields);
        var messages = MessageRules.Read(fields);
        var addGenerationPrompt = fields.Flag("add_generation_prompt", otherwise: true);
        var addSpecialTokens = fields.Flag("add_special_tokens");
        var settings = SettingsRules.Read(fields, model, ReadLogprobs(fields), leastTokens: 1);
        fields.RefuseUnread();
        return fields.Error is { } error ? error : new ChatRequest(messages, addGenerationPrompt, addSpecialTokens, settings);
    }

    static int? ReadLogprobs(FieldReader fields)
    {
        var wanted = fields.Flag("logprobs");
        var top = fields.Count("top_logprobs", 0, ApiLimits.TopLogprobs);
        if (top > 0 && !wanted) fields.Refuse("top_logprobs", "'top_logprobs' is only allowed where 'logprobs' is true.");
        return wanted ? top ?? 0 : null;
    }
}

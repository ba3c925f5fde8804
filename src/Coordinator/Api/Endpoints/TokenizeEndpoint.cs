using System.Text.Json;
using LlamaCluster.Coordinator.Api.Prompts;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>POST /tokenize: the ids of a text or of a conversation, as the completions would read them (vLLM's shapes).</summary>
sealed class TokenizeEndpoint(ServedModel model, PromptEncoder prompts) : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await JsonBody.ReadAsync(http, Encode)).Failed(out var badRequest, out var prompt)) return badRequest;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => Write(json, prompt.Ids));
        return null;
    }

    ApiOutcome<EncodedPrompt> Encode(JsonElement body)
    {
        var fields = new FieldReader(body, "", new FirstError());
        ModelRules.Read(fields, model);
        fields.Neutral("return_token_strs", Neutral.False, "is not supported");
        return fields.Find("messages") is null ? EncodeText(fields) : EncodeMessages(fields);
    }

    ApiOutcome<EncodedPrompt> EncodeText(FieldReader fields)
    {
        if (fields.Find("prompt") is null) fields.Refuse("prompt", "'prompt' (a text) or 'messages' is required.");
        var text = fields.Text("prompt");
        var addSpecialTokens = fields.Flag("add_special_tokens", otherwise: true);
        fields.RefuseUnread();
        return fields.Error is { } error ? error : prompts.Encode(new RawPrompt(text, []), addSpecialTokens);
    }

    ApiOutcome<EncodedPrompt> EncodeMessages(FieldReader fields)
    {
        var messages = MessageRules.Read(fields);
        var addGenerationPrompt = fields.Flag("add_generation_prompt", otherwise: true);
        var addSpecialTokens = fields.Flag("add_special_tokens");
        fields.RefuseUnread();
        return fields.Error is { } error ? error : prompts.Encode(messages, addGenerationPrompt, addSpecialTokens);
    }

    void Write(Utf8JsonWriter json, IReadOnlyList<int> ids)
    {
        json.WriteStartObject();
        json.WriteNumber("count", ids.Count);
        json.WriteNumber("max_model_len", model.ContextLength);
        json.WriteStartArray("tokens");
        foreach (var id in ids) json.WriteNumberValue(id);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}

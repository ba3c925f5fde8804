using System.Text.Json;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Generation;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>POST /tokenize: the ids of a text or of a conversation, as the completions would read them (vLLM's shapes).</summary>
sealed class TokenizeEndpoint(IGenerationEngine engine, ServedModel model, RequestReader reader, PromptEncoder encoder) : IEndpoint
{
    sealed record Request(RawPrompt Prompt, bool AddSpecialTokens);

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await reader.ReadAsync(http, Read)).Failed(out var badRequest, out var request)) return badRequest;
        if ((await encoder.TokenizeAsync(request.Prompt, request.AddSpecialTokens, http.RequestAborted)).Failed(out var badPrompt, out var ids)) return badPrompt;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => Write(json, ids));
        return null;
    }

    Request Read(FieldReader fields)
    {
        fields.Model(model);
        fields.Neutral("return_token_strs", Neutral.False, "is not supported");
        OtherFields.ReadChat(fields);
        var isText = fields.Find("messages") is null;
        if (!isText && fields.Find("prompt") is not null) fields.Refuse("prompt", "'prompt' and 'messages' are two things to tokenize; give one of them.");
        RawPrompt prompt = isText ? CompletionRequestRules.ReadText(fields, "'prompt' (a text) or 'messages' is required.") : ChatRequestRules.ReadPrompt(fields, model);
        return new Request(prompt, fields.Flag("add_special_tokens", otherwise: isText));
    }

    void Write(Utf8JsonWriter json, IReadOnlyList<int> ids)
    {
        json.WriteStartObject();
        json.WriteNumber("count", ids.Count);
        json.WriteNumber("max_model_len", ContextLimit.Of(model, engine.Status).Tokens);
        json.WriteStartArray("tokens");
        foreach (var id in ids) json.WriteNumberValue(id);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}

/// <summary>POST /detokenize: the text of ids, control tokens as they are written (vLLM's shapes).</summary>
sealed class DetokenizeEndpoint(ServedModel model, RequestReader reader, PromptEncoder encoder) : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await reader.ReadAsync(http, ReadIds)).Failed(out var badRequest, out var ids)) return badRequest;
        if ((await encoder.DetokenizeAsync(ids, http.RequestAborted)).Failed(out var notNow, out var text)) return notNow;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => Write(json, text));
        return null;
    }

    int[] ReadIds(FieldReader fields)
    {
        fields.Model(model);
        if (fields.Find("tokens") is null) fields.Refuse("tokens", "'tokens' is required.");
        return [.. fields.TokenIds("tokens", fields.List("tokens", int.MaxValue) ?? [], model.Tokenizer.VocabularySize)];
    }

    static void Write(Utf8JsonWriter json, string text)
    {
        json.WriteStartObject();
        json.WriteString("prompt", text);
        json.WriteEndObject();
    }
}

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
    sealed record Request(ServedModel Model, RawPrompt Prompt, bool AddSpecialTokens);

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await reader.ReadAsync(http, Read)).Failed(out var badRequest, out var request)) return badRequest;
        var tokenized = await encoder.TokenizeAsync(request.Model, request.Prompt, request.AddSpecialTokens, http.RequestAborted);
        if (tokenized.Failed(out var badPrompt, out var ids)) return badPrompt;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => Write(json, ids));
        return null;
    }

    Request Read(FieldReader fields)
    {
        var named = fields.Model(model);
        fields.Neutral("return_token_strs", Neutral.False, "is not supported");
        OtherFields.ReadChat(fields);
        var isText = fields.Find("messages") is null;
        if (!isText && fields.Find("prompt") is not null) fields.Refuse("prompt", "'prompt' and 'messages' are two things to tokenize; give one of them.");
        RawPrompt prompt = isText
            ? CompletionRequestRules.ReadText(fields, "'prompt' (a text) or 'messages' is required.")
            : ChatRequestRules.ReadPrompt(fields, named);
        return new Request(named, prompt, fields.Flag("add_special_tokens", otherwise: isText));
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
        if ((await reader.ReadAsync(http, Read)).Failed(out var badRequest, out var request)) return badRequest;
        if ((await encoder.DetokenizeAsync(request.Model, request.Ids, http.RequestAborted)).Failed(out var notNow, out var text)) return notNow;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => Write(json, text));
        return null;
    }

    sealed record Request(ServedModel Model, IReadOnlyList<int> Ids);

    Request Read(FieldReader fields)
    {
        var named = fields.Model(model);
        if (fields.Find("tokens") is null) fields.Refuse("tokens", "'tokens' is required.");
        return new Request(named, fields.TokenIds("tokens", fields.List("tokens", int.MaxValue) ?? [], named.Tokenizer.VocabularySize));
    }

    static void Write(Utf8JsonWriter json, string text)
    {
        json.WriteStartObject();
        json.WriteString("prompt", text);
        json.WriteEndObject();
    }
}

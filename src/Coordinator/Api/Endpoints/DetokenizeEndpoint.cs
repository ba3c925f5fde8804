using System.Text.Json;
using LlamaCluster.Coordinator.Api.Prompts;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>POST /detokenize: the text of ids, control tokens as they are written (vLLM's shapes).</summary>
sealed class DetokenizeEndpoint(ServedModel model, PromptEncoder prompts) : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if ((await JsonBody.ReadAsync(http, ReadIds)).Failed(out var badRequest, out var ids)) return badRequest;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => Write(json, prompts.Detokenize(ids)));
        return null;
    }

    ApiOutcome<int[]> ReadIds(JsonElement body)
    {
        var fields = new FieldReader(body, "", new FirstError());
        ModelRules.Read(fields, model);
        if (fields.Find("tokens") is null) fields.Refuse("tokens", "'tokens' is required.");
        var ids = TokenIds.ReadAll(fields, "tokens", fields.List("tokens", int.MaxValue) ?? [], model);
        fields.RefuseUnread();
        return fields.Error is { } error ? error : ids.ToArray();
    }

    static void Write(Utf8JsonWriter json, string text)
    {
        json.WriteStartObject();
        json.WriteString("prompt", text);
        json.WriteEndObject();
    }
}

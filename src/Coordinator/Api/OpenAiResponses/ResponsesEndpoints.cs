using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.OpenAiResponses;

/// <summary>POST /v1/responses</summary>
sealed class ResponsesEndpoint(ServedModel model, CompletionResponder responder, ResponseStore store) : IEndpoint
{
    readonly ResponsesRules _rules = new(model, store);

    public Task<ApiError?> AnswerAsync(HttpContext http)
    {
        ResponsesRequest? request = null;
        return responder.AnswerAsync(
            http, fields => (request = _rules.Read(fields)).Completion, "input", facts => new ResponsesAnswer(facts, request!, store));
    }
}

/// <summary>GET and DELETE /v1/responses/{id}</summary>
sealed class StoredResponseEndpoint(ResponseStore store) : IEndpoint
{
    public const string Id = "id";

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        var id = (string)http.Request.RouteValues[Id]!;
        if (HttpMethods.IsDelete(http.Request.Method))
        {
            if (!store.Delete(id)) return ApiError.UnknownResponse(JsonText.Shorten(id), null);
            await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json =>
            {
                json.WriteStartObject();
                json.WriteString("id", id);
                json.WriteString("object", "response");
                json.WriteBoolean("deleted", true);
                json.WriteEndObject();
            });
            return null;
        }
        if (store.Find(id) is not { } stored) return ApiError.UnknownResponse(JsonText.Shorten(id), null);
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => stored.Response.WriteTo(json));
        return null;
    }
}

/// <summary>GET /v1/responses/{id}/input_items: what the client had sent, the latest first unless it asks for another order.</summary>
sealed class InputItemsEndpoint(ResponseStore store) : IEndpoint
{
    const int UsualLimit = 20;
    const int HighestLimit = 100;

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        var id = (string)http.Request.RouteValues[StoredResponseEndpoint.Id]!;
        if (store.Find(id) is not { } stored) return ApiError.UnknownResponse(JsonText.Shorten(id), null);
        var query = http.Request.Query;
        var limit = UsualLimit;
        if (query.TryGetValue("limit", out var asked) && (!int.TryParse(asked, out limit) || limit is < 1 or > HighestLimit))
            return ApiError.Invalid("limit", $"'limit' must be a whole number between 1 and {HighestLimit}.");
        var order = query["order"].ToString();
        if (order is not ("" or "asc" or "desc")) return ApiError.Invalid("order", "'order' must be \"asc\" or \"desc\".");
        var items = order == "asc" ? stored.Input.ToList() : [.. stored.Input.Reverse()];
        if (query["after"].ToString() is { Length: > 0 } after) items = [.. items.SkipWhile(item => IdOf(item) != after).Skip(1)];
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => Write(json, [.. items.Take(limit)], items.Count > limit));
        return null;
    }

    static void Write(Utf8JsonWriter json, JsonNode?[] items, bool hasMore)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        foreach (var item in items) item!.WriteTo(json);
        json.WriteEndArray();
        json.WriteString("first_id", IdOf(items.FirstOrDefault()));
        json.WriteString("last_id", IdOf(items.LastOrDefault()));
        json.WriteBoolean("has_more", hasMore);
        json.WriteEndObject();
    }

    static string? IdOf(JsonNode? item) => (string?)item?["id"];
}

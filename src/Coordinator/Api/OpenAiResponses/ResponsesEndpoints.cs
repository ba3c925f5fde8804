using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Sessions.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.OpenAiResponses;

/// <summary>POST /v1/responses</summary>
sealed class ResponsesEndpoint(ServedModel model, CompletionResponder responder, ResponseDirectory directory, TimeProvider time) : IEndpoint
{
    public Task<ApiError?> AnswerAsync(HttpContext http)
    {
        ResponsesRequest? request = null;
        var stored = new CallersResponses(directory, http);
        return responder.AnswerAsync(
            http, fields => (request = new ResponsesRules(model).Read(fields)).Completion, "input", "chat",
            facts => new ResponsesAnswer(facts, request!, stored),
            complete: async read =>
            {
                if ((await new ResponseConversation(stored, time).FollowAsync(request!)).Failed(out var wrong, out var whole)) return wrong;
                request = whole;
                return whole.Completion;
            });
    }
}

/// <summary>GET and DELETE /v1/responses/{id}</summary>
sealed class StoredResponseEndpoint(ResponseDirectory directory) : IEndpoint
{
    public const string Id = "id";

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        var (id, stored) = ((string)http.Request.RouteValues[Id]!, new CallersResponses(directory, http));
        if (HttpMethods.IsDelete(http.Request.Method))
        {
            if (await stored.DeleteAsync(id) is { } problem) return problem;
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
        if ((await stored.FindAsync(id, null)).Failed(out var unknown, out var found)) return unknown;
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json => JsonNode.Parse(found.Response)!.WriteTo(json));
        return null;
    }
}

/// <summary>GET /v1/responses/{id}/input_items: what the client had sent, the latest first unless it asks for another order.</summary>
sealed class InputItemsEndpoint(ResponseDirectory directory) : IEndpoint
{
    const int UsualLimit = 20;
    const int HighestLimit = 100;

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        var id = (string)http.Request.RouteValues[StoredResponseEndpoint.Id]!;
        if ((await new CallersResponses(directory, http).FindAsync(id, null)).Failed(out var unknown, out var found)) return unknown;
        var query = http.Request.Query;
        var limit = UsualLimit;
        if (query.TryGetValue("limit", out var asked) && (!int.TryParse(asked, out limit) || limit is < 1 or > HighestLimit))
            return ApiError.Invalid("limit", $"'limit' must be a whole number between 1 and {HighestLimit}.");
        var order = query["order"].ToString();
        if (order is not ("" or "asc" or "desc")) return ApiError.Invalid("order", "'order' must be \"asc\" or \"desc\".");
        List<JsonNode?> items = [.. JsonNode.Parse(found.Input)!.AsArray()];
        if (order != "asc") items.Reverse();
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

using System.Text.Json;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>GET /v1/models and /v1/models/{id}</summary>
sealed class ModelsEndpoint(ServedModel model) : IEndpoint
{
    /// <summary>Route value of the second address; a model's name may have slashes.</summary>
    public const string Id = "id";

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if (http.Request.RouteValues.TryGetValue(Id, out var asked) && asked is string { Length: > 0 } written)
        {
            var name = written.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase); // the one escape that the server leaves in a path
            if (name != model.Name) return ApiError.UnknownModel(JsonText.Shorten(name), model.Name);
            await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, WriteModel);
        }
        else
        {
            await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, WriteList);
        }
        return null;
    }

    void WriteList(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        WriteModel(json);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    void WriteModel(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("id", model.Name);
        json.WriteString("object", "model");
        json.WriteNumber("created", model.Created.ToUnixTimeSeconds());
        json.WriteString("owned_by", "llamacluster");
        json.WriteNumber("max_model_len", model.ContextLength);
        json.WriteEndObject();
    }
}

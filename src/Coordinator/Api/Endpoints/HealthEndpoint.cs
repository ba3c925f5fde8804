using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>GET /health: the process is alive, whatever the model does.</summary>
sealed class HealthEndpoint : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        await JsonResponse.WriteAsync(http.Response, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteString("status", "alive");
            json.WriteEndObject();
        });
        return null;
    }
}

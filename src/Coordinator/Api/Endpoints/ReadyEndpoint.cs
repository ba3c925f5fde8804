using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Generation;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>GET /ready: 200 while the model is loaded on all stages, else 503 and why.</summary>
sealed class ReadyEndpoint(IGenerationEngine engine) : IEndpoint
{
    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        var status = engine.Status;
        if (!status.Ready) http.Response.Headers.RetryAfter = "2";
        await JsonResponse.WriteAsync(http.Response, status.Ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable, json =>
        {
            json.WriteStartObject();
            json.WriteBoolean("ready", status.Ready);
            if (!status.Ready) json.WriteString("reason", status.Reason);
            json.WriteEndObject();
        });
        return null;
    }
}

using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.TextGeneration;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>GET and HEAD /: a line for people and for clients that look whether anybody is there. POST / is Text Generation Inference's.</summary>
sealed class RootEndpoint(ServedModel model, CompletionResponder responder) : IEndpoint
{
    readonly GenerateEndpoint _generate = new(model, responder);

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if (HttpMethods.IsPost(http.Request.Method)) return await _generate.AnswerAsync(http);
        http.Response.ContentType = "text/plain; charset=utf-8";
        await http.Response.WriteAsync($"LlamaCluster is running and serves {model.Name}. OpenAI's API is under /v1, its description at /openapi.json.\n");
        return null;
    }
}

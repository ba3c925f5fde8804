using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.TextGeneration;
using LlamaCluster.Coordinator.WebPage;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>GET and HEAD /: the console for browsers, a line for clients that look whether anybody is there. POST / is Text Generation Inference's.</summary>
sealed class RootEndpoint(ServedModel model, CompletionResponder responder) : IEndpoint
{
    readonly GenerateEndpoint _generate = new(model, responder);

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if (HttpMethods.IsPost(http.Request.Method)) return await _generate.AnswerAsync(http);
        if (ConsoleEndpoint.WantsPage(http.Request))
        {
            await ConsoleEndpoint.SendPageAsync(http);
            return null;
        }
        http.Response.Headers.Vary = HeaderNames.Accept;
        http.Response.ContentType = "text/plain; charset=utf-8";
        var what = http.Features.Get<ApiCaller>() == ApiCaller.Stranger ? "" : $" and serves {model.Name}";
        await http.Response.WriteAsync($"LlamaCluster is running{what}. OpenAI's API is under /v1, its description at /openapi.json.\n");
        return null;
    }
}

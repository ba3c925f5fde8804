using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>What answers the requests of one address.</summary>
interface IEndpoint
{
    /// <returns>The error to answer with; null if the request has been answered.</returns>
    Task<ApiError?> AnswerAsync(HttpContext http);
}

/// <summary>The HTTP API that clients of OpenAI's and vLLM's speak, in front of an <see cref="IGenerationEngine"/>.</summary>
public static class OpenAiApi
{
    static readonly string[] Get = [HttpMethods.Get, HttpMethods.Head];
    static readonly string[] Post = [HttpMethods.Post];

    public static IServiceCollection AddOpenAiApi(this IServiceCollection services, ServedModel model) => services.AddSingleton(model).AddOpenAiApi();

    /// <summary>
    /// Needs an <see cref="IGenerationEngine"/> and a <see cref="ServedModel"/> among the services; takes a <see cref="TimeProvider"/> of theirs
    /// if there is one.
    /// </summary>
    public static IServiceCollection AddOpenAiApi(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<CoordinatorMetrics>();
        return services
            .AddMetrics()
            .AddSingleton<PromptEncoder>()
            .AddSingleton<CompletionResponder>();
    }

    /// <summary>
    /// Adds what every request passes through. The address of a client behind a proxy is read from X-Forwarded-For, if the proxy runs on this
    /// machine. An error that some other part answers without a body gets one in OpenAI's shape.
    /// </summary>
    public static IApplicationBuilder UseOpenAiApi(this IApplicationBuilder app) => app
        .UseForwardedHeaders(new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.XForwardedFor }) // known proxies are loopback only by default
        .UseMiddleware<RequestGate>()
        .UseStatusCodePages(WriteBodyAsync);

    /// <summary>Maps all addresses, and answers 404 in OpenAI's shape for all others.</summary>
    public static IEndpointRouteBuilder MapOpenAiApi(this IEndpointRouteBuilder routes)
    {
        routes.Map<ChatCompletionsEndpoint>("/v1/chat/completions", Post);
        routes.Map<CompletionsEndpoint>("/v1/completions", Post);
        routes.Map<ModelsEndpoint>("/v1/models", Get);
        routes.Map<ModelsEndpoint>($"/v1/models/{{**{ModelsEndpoint.Id}}}", Get);
        routes.Map<TokenizeEndpoint>("/tokenize", Post);
        routes.Map<DetokenizeEndpoint>("/detokenize", Post);
        routes.Map<HealthEndpoint>("/health", Get);
        routes.Map<ReadyEndpoint>("/ready", Get);
        routes.MapFallback("{**path}", http => JsonResponse.WriteAsync(http.Response, UnknownPath(http.Request)));
        return routes;
    }

    /// <summary>Routing's own answer to a wrong method is out of reach, because the fallback takes every method.</summary>
    static void Map<TEndpoint>(this IEndpointRouteBuilder routes, string pattern, string[] methods) where TEndpoint : IEndpoint
    {
        var endpoint = ActivatorUtilities.CreateInstance<TEndpoint>(routes.ServiceProvider);
        routes.MapMethods(pattern, methods, async http =>
        {
            if (await endpoint.AnswerAsync(http) is { } error) await JsonResponse.WriteAsync(http.Response, error);
        });
        routes.Map(pattern, http =>
        {
            http.Response.Headers.Allow = string.Join(", ", methods);
            return JsonResponse.WriteAsync(http.Response, ApiError.WrongMethod(http.Request.Method, http.Request.Path, string.Join(" or ", methods)));
        });
    }

    static Task WriteBodyAsync(StatusCodeContext context)
    {
        var (request, status) = (context.HttpContext.Request, context.HttpContext.Response.StatusCode);
        var message = $"The request was answered with status {status}.";
        return JsonResponse.WriteAsync(context.HttpContext.Response, status switch
        {
            StatusCodes.Status404NotFound => UnknownPath(request),
            < 500 => ApiError.Invalid(null, message) with { Status = status },
            _ => ApiError.Internal(message) with { Status = status },
        });
    }

    static ApiError UnknownPath(HttpRequest request) => ApiError.UnknownPath(request.Method, JsonText.Shorten(request.Path));
}

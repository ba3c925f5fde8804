using LlamaCluster.Coordinator.Api.Endpoints;
using LlamaCluster.Coordinator.Api.Prompts;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace LlamaCluster.Coordinator.Api;

/// <summary>The HTTP API that clients of OpenAI's and vLLM's speak, in front of an <see cref="IGenerationEngine"/>.</summary>
public static class OpenAiApi
{
    static readonly string[] Get = [HttpMethods.Get, HttpMethods.Head];
    static readonly string[] Post = [HttpMethods.Post];

    public static IServiceCollection AddOpenAiApi(this IServiceCollection services, ServedModel model) => services.AddSingleton(model).AddOpenAiApi();

    /// <summary>Needs an <see cref="IGenerationEngine"/> and a <see cref="ServedModel"/> among the services; takes a <see cref="TimeProvider"/> of theirs if there is one.</summary>
    public static IServiceCollection AddOpenAiApi(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<CoordinatorMetrics>();
        return services
            .AddMetrics()
            .AddSingleton<PromptEncoder>()
            .AddSingleton<CompletionResponder>()
            .AddSingleton<RequestGate>();
    }

    /// <summary>Maps all addresses, and answers 404 in OpenAI's shape for those that nobody maps.</summary>
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
        routes.MapFallback("{**path}", routes.Guarded(new UnknownPathEndpoint()));
        return routes;
    }

    static void Map<TEndpoint>(this IEndpointRouteBuilder routes, string pattern, string[] methods) where TEndpoint : IEndpoint
    {
        routes.MapMethods(pattern, methods, routes.Guarded(ActivatorUtilities.CreateInstance<TEndpoint>(routes.ServiceProvider)));
        routes.Map(pattern, routes.Guarded(new WrongMethodEndpoint(methods)));
    }

    static RequestDelegate Guarded(this IEndpointRouteBuilder routes, IEndpoint endpoint)
    {
        var gate = routes.ServiceProvider.GetRequiredService<RequestGate>();
        return http => gate.AnswerAsync(http, endpoint);
    }
}

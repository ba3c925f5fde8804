using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Anthropic;
using LlamaCluster.Coordinator.Api.Auditing;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Embeddings;
using LlamaCluster.Coordinator.Api.Filtering;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.LlamaCpp;
using LlamaCluster.Coordinator.Api.Ollama;
using LlamaCluster.Coordinator.Api.OpenAiResponses;
using LlamaCluster.Coordinator.Api.Reading;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Api.Responses;
using LlamaCluster.Coordinator.Api.Sessions;
using LlamaCluster.Coordinator.Api.TextGeneration;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.WebPage;
using LlamaCluster.Sessions;
using LlamaCluster.Sessions.Responses;
using LlamaCluster.Text.Grammars;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>The HTTP API that clients of OpenAI's and vLLM's speak, in front of an <see cref="IGenerationEngine"/>.</summary>
public static class OpenAiApi
{
    static readonly string[] Get = [HttpMethods.Get, HttpMethods.Head];
    static readonly string[] Post = [HttpMethods.Post];

    /// <summary>Headers of answers that web pages of other origins may read.</summary>
    static string[] ReadableHeaders =>
    [
        RequestGate.RequestId, RequestReader.Ignored, RequestReader.Adjusted, HeaderNames.RetryAfter, SessionRules.Header, TurnStarter.TurnHeader,
        TurnStarter.DroppedHeader, FilterVerdict.Header, .. ApiKeyGate.LimitHeaders,
    ];

    public static IServiceCollection AddOpenAiApi(this IServiceCollection services, ServedModel model) => services.AddSingleton(model).AddOpenAiApi();

    /// <summary>
    /// Needs an <see cref="IGenerationEngine"/> and a <see cref="ServedModel"/> among the services; takes a <see cref="TimeProvider"/> of theirs
    /// if there is one.
    /// </summary>
    public static IServiceCollection AddOpenAiApi(this IServiceCollection services)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<CoordinatorMetrics>();
        services.TryAddSingleton(new ApiOptions());
        services.TryAddSingleton(new EngineOptions());
        services.TryAddSingleton(provider => new ApiKeys(
            provider.GetRequiredService<ApiOptions>().KeysFile, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ApiKeys>>()));
        services.TryAddSingleton(provider => new AuditLog(
            provider.GetRequiredService<ApiOptions>().AuditLog ?? throw new InvalidOperationException("no audit log is asked for"),
            provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<AuditLog>>()));
        services.AddOpenApi(options => options.AddDocumentTransformer<ApiDocument>());
        services.TryAddSingleton(new SessionsOptions());
        services.TryAddSingleton(provider => SessionDirectory.Temporary(
            provider.GetRequiredService<SessionsOptions>(), provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILoggerFactory>()));
        services.TryAddSingleton(provider => new ResponseDirectory(
            provider.GetRequiredService<SessionsOptions>(), null, provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ResponseDirectory>>()));
        return services
            .AddMetrics()
            .AddCors()
            .AddSingleton<AllowedOrigins>()
            .AddSingleton<BodyBudget>()
            .AddSingleton<RequestReader>()
            .AddSingleton<PromptEncoder>()
            .AddSingleton<AnswerFormats>()
            .AddSingleton(_ => new GrammarCache())
            .AddSingleton<ContentFilter>()
            .AddSingleton<TurnStarter>()
            .AddSingleton<Embedder>()
            .AddSingleton<CompletionResponder>();
    }

    /// <summary>
    /// Adds what every request passes through. The address of a client behind a proxy is read from X-Forwarded-For, if the proxy runs on this
    /// machine. Pages of other origins are let in or kept out (CORS). An error that some other part answers without a body gets one in OpenAI's shape.
    /// </summary>
    /// <param name="ownMachineOnly">The API listens on this machine only: who names another host is refused.</param>
    public static IApplicationBuilder UseOpenAiApi(this IApplicationBuilder app, bool ownMachineOnly)
    {
        var origins = app.ApplicationServices.GetRequiredService<AllowedOrigins>();
        // Known proxies are loopback only by default.
        app.UseForwardedHeaders(new ForwardedHeadersOptions { ForwardedHeaders = ForwardedHeaders.XForwardedFor });
        if (app.ApplicationServices.GetRequiredService<ApiOptions>().AuditLog is not null) app.UseMiddleware<AuditGate>();
        app.UseMiddleware<RequestGate>();
        if (ownMachineOnly)
            app.Use((http, next) => origins.AllowHost(http.Request.Host)
                ? next(http)
                : JsonResponse.WriteAsync(http.Response, ApiError.ForeignHost(JsonText.Shorten(http.Request.Host.Host))));
        app
            .UseCors(policy => origins.AddTo(policy, ReadableHeaders))
            .UseStatusCodePages(WriteBodyAsync);
        return app.ApplicationServices.GetRequiredService<ApiKeys>().AreOn ? app.UseMiddleware<ApiKeyGate>() : app;
    }

    /// <summary>Maps all addresses, those of OpenAI's also without their /v1, and answers 404 for all others.</summary>
    public static IEndpointRouteBuilder MapOpenAiApi(this IEndpointRouteBuilder routes)
    {
        foreach (var prefix in new[] { "/v1", "" })
        {
            routes.Map<ChatCompletionsEndpoint>($"{prefix}/chat/completions", Post);
            routes.Map<CompletionsEndpoint>($"{prefix}/completions", Post);
            routes.Map<ResponsesEndpoint>($"{prefix}/responses", Post);
            routes.Map<StoredResponseEndpoint>($"{prefix}/responses/{{{StoredResponseEndpoint.Id}}}", [.. Get, HttpMethods.Delete]);
            routes.Map<InputItemsEndpoint>($"{prefix}/responses/{{{StoredResponseEndpoint.Id}}}/input_items", Get);
            routes.Map<EmbeddingsEndpoint>($"{prefix}/embeddings", Post);
            routes.Map<ModelsEndpoint>($"{prefix}/models", Get);
            routes.Map<ModelsEndpoint>($"{prefix}/models/{{**{ModelsEndpoint.Id}}}", Get);
        }
        routes.Map<MessagesEndpoint>("/v1/messages", Post);
        routes.Map<CountTokensEndpoint>("/v1/messages/count_tokens", Post);
        MapOllama(routes);
        routes.Map<GenerateEndpoint>("/generate", Post);
        routes.Map<GenerateEndpoint>("/generate_stream", Post);
        routes.Map<InfoEndpoint>("/info", Get);
        routes.Map<InfillEndpoint>("/infill", Post);
        routes.Map<RootEndpoint>("/", [.. Get, HttpMethods.Post], toRead: ApiScopes.None);   // browsers show no key before the page asks for one
        routes.Map<ConsoleEndpoint>($"/console/{{{ConsoleEndpoint.File}}}", Get, ApiScopes.None);
        routes.Map<SessionsEndpoint>("/v1/sessions", [.. Get, .. Post]);
        routes.Map<SessionImportEndpoint>("/v1/sessions/import", Post);
        routes.Map<OneSessionEndpoint>($"/v1/sessions/{{{SessionEndpoint.Id}}}", [.. Get, HttpMethods.Delete]);
        routes.Map<SessionExportEndpoint>($"/v1/sessions/{{{SessionEndpoint.Id}}}/export", Get);
        routes.Map<SessionForkEndpoint>($"/v1/sessions/{{{SessionEndpoint.Id}}}/fork", Post);
        var metrics = routes.ServiceProvider.GetRequiredService<CoordinatorMetrics>();
        foreach (var code in ApiError.RefusalCodes.Append(ApiKeyGate.LimitOfKey)) metrics.RequestsRefused(code, 0);   // known from the start
        routes.Map<TokenizeEndpoint>("/tokenize", Post);
        routes.Map<DetokenizeEndpoint>("/detokenize", Post);
        foreach (var path in (string[])["/health", "/v1/health"]) routes.Map<HealthEndpoint>(path, Get, ApiScopes.None);   // llama.cpp has both
        routes.Map<ReadyEndpoint>("/ready", Get, ApiScopes.None);   // without details for strangers
        routes.Map<PropsEndpoint>("/props", Get);
        var document = routes.MapOpenApi(ApiDocument.Address);
        if (routes.ServiceProvider.GetRequiredService<ApiOptions>().ReferencePage)
        {
            ApiReferencePage.Map(routes);
            document.WithMetadata(new NeededScope(ApiScopes.None));   // the page reads it
        }
        routes.MapFallback("{**path}", UnknownAddress.AnswerAsync);
        return routes;
    }

    static void MapOllama(IEndpointRouteBuilder routes)
    {
        routes.Map<OllamaChatEndpoint>("/api/chat", Post);
        routes.Map<OllamaGenerateEndpoint>("/api/generate", Post);
        routes.Map<OllamaVersionEndpoint>("/api/version", Get);
        routes.Map<OllamaModelsEndpoint>("/api/tags", Get);
        routes.Map<OllamaModelsEndpoint>("/api/ps", Get);
        routes.Map<OllamaShowEndpoint>("/api/show", Post);
        routes.Map<OllamaEmbedEndpoint>("/api/embed", Post);
        routes.Map<OllamaEmbeddingsEndpoint>("/api/embeddings", Post);
        foreach (var name in (string[])["pull", "push", "create", "copy"]) routes.Map<OllamaMissingEndpoint>($"/api/{name}", Post);
        routes.Map<OllamaMissingEndpoint>("/api/delete", [HttpMethods.Delete]);
        routes.Map<OllamaMissingEndpoint>("/api/blobs/{digest}", [HttpMethods.Head, HttpMethods.Post]);
    }

    /// <summary>Routing's own answer to a wrong method is out of reach, because the fallback takes every method.</summary>
    /// <param name="scope">What a key must be good for, where keys are asked for.</param>
    /// <param name="toRead">For GET and HEAD, where that is another one.</param>
    internal static void Map<TEndpoint>(
        this IEndpointRouteBuilder routes, string pattern, string[] methods, ApiScopes scope = ApiScopes.Inference, ApiScopes? toRead = null)
        where TEndpoint : IEndpoint
    {
        var endpoint = ActivatorUtilities.CreateInstance<TEndpoint>(routes.ServiceProvider);
        routes.MapMethods(pattern, methods, async http =>
        {
            if (await endpoint.AnswerAsync(http) is { } error) await JsonResponse.WriteAsync(http.Response, error);
        }).WithMetadata(new NeededScope(scope, toRead));
        routes.Map(pattern, http =>
        {
            http.Response.Headers.Allow = string.Join(", ", methods);
            var asked = ApiError.WrongMethod(JsonText.Shorten(http.Request.Method), JsonText.Shorten(http.Request.Path), string.Join(" or ", methods));
            return JsonResponse.WriteAsync(http.Response, asked);
        }).WithMetadata(new NeededScope(scope, toRead));
    }

    static Task WriteBodyAsync(StatusCodeContext context)
    {
        var status = context.HttpContext.Response.StatusCode;
        if (status == StatusCodes.Status404NotFound) return UnknownAddress.AnswerAsync(context.HttpContext);
        var message = $"The request was answered with status {status}.";
        var error = status < 500 ? ApiError.Invalid(null, message) : ApiError.Internal(message);
        return JsonResponse.WriteAsync(context.HttpContext.Response, error with { Status = status });
    }
}

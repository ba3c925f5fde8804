using System.Net.Mime;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Api.Answering;
using LlamaCluster.Coordinator.Api.Endpoints;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace LlamaCluster.Coordinator.Observing;

/// <summary>Adds /v1/cluster and what it needs. Nothing of it is made before the first request.</summary>
static class ClusterObserving
{
    static readonly string[] Get = [HttpMethods.Get, HttpMethods.Head];
    static readonly string[] Post = [HttpMethods.Post];

    public static IServiceCollection AddClusterObserving(this IServiceCollection services, Func<IServiceProvider, WhatIf> whatIf) => services
        .AddSingleton<ClusterObserver>()
        .AddSingleton<ClusterFeed>()
        .AddSingleton(provider => new Lazy<ClusterFeed>(provider.GetRequiredService<ClusterFeed>))
        .AddSingleton(provider => new Lazy<WhatIf>(() => whatIf(provider)));

    public static IEndpointRouteBuilder MapClusterObserving(this IEndpointRouteBuilder routes)
    {
        routes.Map<ClusterEndpoint>("/v1/cluster", Get, ApiScopes.Metrics);
        routes.Map<ClusterEndpoint>($"/v1/cluster/{ClusterEndpoint.Events}", Get, ApiScopes.Metrics);
        routes.Map<WhatIfEndpoint>("/v1/cluster/plan", Post, ApiScopes.Admin);
        return routes;
    }
}

/// <summary>
/// GET /v1/cluster: how the cluster is now. As a stream of server-sent events, for who accepts that or asks for /v1/cluster/events: one a second, and one
/// whenever it changes.
/// </summary>
sealed class ClusterEndpoint(Lazy<ClusterFeed> feed, IHostApplicationLifetime lifetime) : IEndpoint
{
    public const string Events = "events";

    /// <summary>The type of the events.</summary>
    public const string EventName = "cluster";

    public async Task<ApiError?> AnswerAsync(HttpContext http)
    {
        if (HttpMethods.IsGet(http.Request.Method) && WantsEvents(http.Request)) return await StreamAsync(http);
        http.Response.Headers.CacheControl = "no-store";
        await JsonResponse.WriteAsync(
            http.Response, StatusCodes.Status200OK, json => json.WriteRawValue(feed.Value.Now().Json.Span, skipInputValidation: true));
        return null;
    }

    static bool WantsEvents(HttpRequest request) =>
        request.Path.Value!.TrimEnd('/').EndsWith($"/{Events}", StringComparison.OrdinalIgnoreCase)
        || request.GetTypedHeaders().Accept.Any(accepted => accepted.MediaType.Equals(MediaTypeNames.Text.EventStream, StringComparison.OrdinalIgnoreCase));

    async Task<ApiError?> StreamAsync(HttpContext http)
    {
        if (lifetime.ApplicationStopping.IsCancellationRequested) return ApiError.NotReady("the coordinator is stopping");
        using var listening = feed.Value.TryListen();
        if (listening is null)
            return ApiError.AllTaken(
                $"{ClusterFeed.MostListeners} listen to the cluster already, as many as may. Close a console, or ask GET /v1/cluster now and then.");
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted, lifetime.ApplicationStopping);
        using var events = EventStream.Open(http.Response, EventFraming.ServerSent);
        http.Response.Headers.CacheControl = "no-store";
        try
        {
            while (true)
            {
                var frame = await listening.NextAsync(ends.Token);
                events.Begin(EventName).WriteRawValue(frame.Json.Span, skipInputValidation: true);
                events.End();
                await events.FlushAsync(ends.Token);
            }
        }
        catch (OperationCanceledException) when (ends.IsCancellationRequested)
        {
            return null;   // the listener has gone, or the coordinator stops
        }
    }
}

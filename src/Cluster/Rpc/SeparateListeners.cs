using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>What a process listens for on an address.</summary>
[Flags]
public enum ListenerKind
{
    /// <summary>HTTP/1.1, for clients of the API; with TLS if it has a certificate.</summary>
    Api = 1,

    /// <summary>HTTP/2, with the cluster's TLS if it has any, for coordinators, workers and operators' tools.</summary>
    Rpc = 2,

    /// <summary>HTTP/1.1, for Prometheus.</summary>
    Metrics = 4,
}

/// <summary>On an endpoint: the listeners that serve it. On a connection: the listener that accepted it.</summary>
public sealed record ListenerMetadata(ListenerKind Kind);

/// <summary>Keeps apart what a process serves on its addresses.</summary>
public static class SeparateListeners
{
    /// <summary>Marks the connections of an address.</summary>
    public static ListenOptions IsFor(this ListenOptions listen, ListenerKind kind)
    {
        var metadata = new ListenerMetadata(kind);
        listen.Use(next => connection =>
        {
            connection.Features.Set(metadata);
            return next(connection);
        });
        return listen;
    }

    /// <summary>The endpoints are served on these listeners and on no others.</summary>
    public static TEndpoints OnListeners<TEndpoints>(this TEndpoints endpoints, ListenerKind kinds) where TEndpoints : IEndpointConventionBuilder
        => endpoints.WithMetadata(new ListenerMetadata(kinds));

    /// <summary>The listener that a request came in on.</summary>
    public static ListenerKind Listener(this HttpContext http) => http.Features.GetRequiredFeature<ListenerMetadata>().Kind;

    /// <summary>Answers 404 if a request came in on one listener but asks for an endpoint of another. To be called before endpoints are mapped.</summary>
    public static IApplicationBuilder UseSeparateListeners(this IApplicationBuilder app) => app.Use((http, next) =>
    {
        var asked = http.GetEndpoint()?.Metadata.GetMetadata<ListenerMetadata>();
        if (asked is null || asked.Kind.HasFlag(http.Listener())) return next(http);
        http.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    });
}

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace LlamaCluster.Cluster.Telemetry;

/// <summary>An address for metrics beside one for gRPC: it serves nothing else, and the other one does not serve metrics.</summary>
public static class MetricsListener
{
    /// <summary>Plain HTTP/1.1, which Prometheus speaks.</summary>
    public static void ListenForMetrics(this KestrelServerOptions kestrel, ListenAddress address) => kestrel.Listen(address.EndPoint, listen =>
    {
        listen.Protocols = HttpProtocols.Http1;
        listen.Use(next => connection =>
        {
            connection.Features.Set(Mark.Instance);
            return next(connection);
        });
    });

    /// <summary>The endpoint is for the address for metrics.</summary>
    public static void OnMetricsListener(this IEndpointConventionBuilder endpoint) => endpoint.WithMetadata(Mark.Instance);

    /// <summary>Answers 404 on one address for what is on the other. To be called before endpoints are mapped.</summary>
    public static void UseMetricsListener(this IApplicationBuilder app) => app.Use((http, next) =>
    {
        if (http.GetEndpoint()?.Metadata.GetMetadata<Mark>() == http.Features.Get<Mark>()) return next(http);
        http.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    });

    /// <summary>At connections of the address and at endpoints that are for it.</summary>
    sealed class Mark
    {
        public static Mark Instance { get; } = new();
    }
}

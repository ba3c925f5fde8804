using System.Net;
using LlamaCluster.Cluster.Rpc;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>The coordinator's two doors: what the API serves is not to be had where the workers call, nor the other way round.</summary>
sealed class Listeners(CoordinatorOptions options, ClusterTls? tls)
{
    ListenOptions? _api;
    ListenOptions? _rpc;

    /// <summary>With the port that was taken, once the server has started.</summary>
    public Uri ApiAddress => AddressOf(_api, "http");

    public Uri RpcAddress => AddressOf(_rpc, tls is null ? "http" : "https");

    public void Configure(KestrelServerOptions kestrel)
    {
        kestrel.UseClusterRpcLimits();
        kestrel.Listen(Parse(options.Listen), listen =>
        {
            _api = Open(listen, ListenerKind.Api);
            listen.Protocols = HttpProtocols.Http1;
        });
        kestrel.Listen(Parse(options.GrpcListen), listen =>
        {
            listen.UseClusterRpc(tls);
            _rpc = Open(listen, ListenerKind.Rpc);
        });
    }

    /// <summary>Answers 404 where an endpoint is asked for at the other door.</summary>
    public static void Separate(IApplicationBuilder app) => app.Use((http, next) =>
    {
        var asked = http.GetEndpoint()?.Metadata.GetMetadata<ListenerMetadata>();
        if (asked is null || asked.Kind == http.Features.Get<ListenerMetadata>()?.Kind) return next(http);
        http.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    });

    static ListenOptions Open(ListenOptions listen, ListenerKind kind)
    {
        var metadata = new ListenerMetadata(kind);
        listen.Use(next => connection =>
        {
            connection.Features.Set(metadata);
            return next(connection);
        });
        return listen;
    }

    static IPEndPoint Parse(string listen)
    {
        var uri = new Uri(listen);
        return new IPEndPoint(uri.Host == "localhost" ? IPAddress.Loopback : IPAddress.Parse(uri.DnsSafeHost), uri.Port);
    }

    static Uri AddressOf(ListenOptions? listen, string scheme)
        => new($"{scheme}://{listen?.IPEndPoint ?? throw new InvalidOperationException("the coordinator has not been started")}");
}

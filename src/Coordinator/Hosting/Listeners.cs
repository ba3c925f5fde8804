using System.Net;
using LlamaCluster.Cluster.Rpc;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>The coordinator's two doors: what the API serves is not to be had where the workers call, nor the other way round.</summary>
sealed class Listeners(CoordinatorOptions options)
{
    ListenOptions? _api;
    ListenOptions? _rpc;

    /// <summary>With the port that was taken, once the server has started.</summary>
    public Uri ApiAddress => AddressOf(_api);

    public Uri RpcAddress => AddressOf(_rpc);

    public void Configure(KestrelServerOptions kestrel)
    {
        kestrel.UseClusterRpcLimits();
        kestrel.Listen(Parse(options.Listen), listen => _api = Open(listen, ListenerKind.Api, HttpProtocols.Http1));
        kestrel.Listen(Parse(options.GrpcListen), listen => _rpc = Open(listen, ListenerKind.Rpc, HttpProtocols.Http2));
    }

    /// <summary>Answers 404 where an endpoint is asked for at the other door.</summary>
    public static void Separate(IApplicationBuilder app) => app.Use((http, next) =>
    {
        var asked = http.GetEndpoint()?.Metadata.GetMetadata<ListenerMetadata>();
        if (asked is null || asked.Kind == http.Features.Get<ListenerMetadata>()?.Kind) return next(http);
        http.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    });

    static ListenOptions Open(ListenOptions listen, ListenerKind kind, HttpProtocols protocols)
    {
        var metadata = new ListenerMetadata(kind);
        listen.Protocols = protocols;
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

    static Uri AddressOf(ListenOptions? listen)
        => new($"http://{listen?.IPEndPoint ?? throw new InvalidOperationException("the coordinator has not been started")}");
}

using System.Net;
using System.Text;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Api;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>
/// The coordinator's listening addresses and their limits. The API is not served on the workers' address, the workers' services are not served
/// on the API's, and an address for metrics serves nothing else.
/// </summary>
sealed class Listeners(CoordinatorOptions options, ClusterTls? tls = null) : IConfigureOptions<KestrelServerOptions>
{
    /// <summary>
    /// Kestrel counts the connections of each listener by itself and closes any beyond this number. 4096 workers may be registered, with
    /// a connection for membership and one for weights each.
    /// </summary>
    public const int MaxConnections = 10_000;

    /// <summary>A client that is slower to send its request headers is disconnected.</summary>
    public static readonly TimeSpan RequestHeadersTimeout = TimeSpan.FromSeconds(15);

    /// <summary>
    /// A connection without requests is closed after this time. Longer than the usual 60 s of proxies, so that they close first and never write to a
    /// closed one.
    /// </summary>
    public static readonly TimeSpan KeepAliveTimeout = TimeSpan.FromSeconds(130);

    readonly ListenAddress _apiWanted = ListenAddress.Parse(options.Listen);
    readonly ListenAddress _rpcWanted = ListenAddress.Parse(options.GrpcListen);
    readonly ListenAddress? _metricsWanted = options.MetricsListen is { } wanted ? ListenAddress.Parse(wanted) : null;

    ListenOptions? _api;
    ListenOptions? _rpc;
    ListenOptions? _metrics;

    /// <summary>The API listens on both loopback addresses.</summary>
    bool IsLocalhost => _apiWanted.EndPoint.Port != 0 && new Uri(options.Listen).Host == "localhost";

    /// <summary>With the port that was taken. Known once the server has started.</summary>
    public Uri ApiAddress => AddressOf(_api, _apiWanted);

    /// <inheritdoc cref="ApiAddress"/>
    public Uri RpcAddress => AddressOf(_rpc, _rpcWanted);

    /// <summary>The address for metrics alone; null: there is none.</summary>
    public Uri? MetricsAddress => _metricsWanted is null ? null : AddressOf(_metrics, _metricsWanted);

    /// <summary>Takes all addresses, before the server starts.</summary>
    /// <exception cref="IOException">One cannot be listened on.</exception>
    public void Open(ListenSockets sockets)
    {
        sockets.Open(_apiWanted);
        if (IsLocalhost) sockets.Open(_apiWanted with { EndPoint = new IPEndPoint(IPAddress.IPv6Loopback, _apiWanted.EndPoint.Port) }, ifThereIs: true);
        sockets.Open(_rpcWanted);
        if (_metricsWanted is not null) sockets.Open(_metricsWanted);
    }

    public void Configure(KestrelServerOptions kestrel)
    {
        kestrel.UseClusterRpcLimits();
        kestrel.Limits.MaxConcurrentConnections = MaxConnections;
        kestrel.Limits.MaxConcurrentUpgradedConnections = 0;   // nothing here upgrades, to WebSockets or anything else
        kestrel.Limits.RequestHeadersTimeout = RequestHeadersTimeout;
        kestrel.Limits.KeepAliveTimeout = KeepAliveTimeout;
        // Above the API's own limits, which answer with a reason.
        kestrel.Limits.MaxRequestLineSize = ApiLimits.HeadSlack * ApiLimits.TargetBytes;
        kestrel.Limits.MaxRequestHeadersTotalSize = ApiLimits.HeadSlack * ApiLimits.HeaderBytes;
        kestrel.Limits.MaxRequestHeaderCount = ApiLimits.HeadSlack * ApiLimits.Headers;
        kestrel.RequestHeaderEncodingSelector = _ => Encoding.Latin1;   // takes all bytes; browsers send it
        ListenForApi(kestrel);
        kestrel.Listen(_rpcWanted.EndPoint, listen =>
        {
            listen.UseClusterRpc(tls);
            _rpc = Open(listen, ListenerKind.Rpc);
        });
        if (_metricsWanted is not null)
            kestrel.Listen(_metricsWanted.EndPoint, listen =>
            {
                _metrics = Open(listen, ListenerKind.Metrics);
                listen.Protocols = HttpProtocols.Http1;
            });
    }

    /// <summary>Whether an address to listen on can be reached from this machine only.</summary>
    public static bool IsOwnMachineOnly(string listen) => ListenAddress.Parse(listen).IsLoopback;

    /// <summary>Answers 404 if a request came in on one listener but asks for an endpoint of the other.</summary>
    public static void Separate(IApplicationBuilder app) => app.Use((http, next) =>
    {
        var asked = http.GetEndpoint()?.Metadata.GetMetadata<ListenerMetadata>();
        if (asked is null || asked.Kind.HasFlag(http.Features.GetRequiredFeature<ListenerMetadata>().Kind)) return next(http);
        http.Response.StatusCode = StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    });

    /// <summary>localhost is looked up as either of the two loopback addresses, so it means both; of a free port there is one only.</summary>
    void ListenForApi(KestrelServerOptions kestrel)
    {
        void Configure(ListenOptions listen)
        {
            _api = Open(listen, ListenerKind.Api);
            listen.Protocols = HttpProtocols.Http1;
        }

        if (IsLocalhost) kestrel.ListenLocalhost(_apiWanted.EndPoint.Port, Configure);
        else kestrel.Listen(_apiWanted.EndPoint, Configure);
    }

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

    static Uri AddressOf(ListenOptions? listen, ListenAddress wanted)
        => (wanted with { EndPoint = listen?.IPEndPoint ?? throw new InvalidOperationException("the coordinator has not been started") }).Uri;
}

/// <summary>One of the listeners.</summary>
[Flags]
enum ListenerKind
{
    /// <summary>HTTP/1.1, for clients of the API. HTTP/2 would need TLS to be negotiated.</summary>
    Api = 1,

    /// <summary>HTTP/2, with the cluster's TLS if it has any, for workers and operators' tools.</summary>
    Rpc = 2,

    /// <summary>HTTP/1.1, for Prometheus.</summary>
    Metrics = 4,
}

/// <summary>On an endpoint: the listeners that serve it. On a connection: the listener that accepted it.</summary>
sealed record ListenerMetadata(ListenerKind Kind);

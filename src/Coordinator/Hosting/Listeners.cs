using System.Net;
using System.Text;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Api;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>
/// The coordinator's listening addresses and their limits. The API is not served on the workers' address, the workers' services are not served
/// on the API's, and an address for metrics serves nothing else.
/// </summary>
sealed class Listeners(
    CoordinatorOptions options, TimeProvider time, ILogger<Listeners> logger, ApiConnections connections,
    ClusterTls? tls = null, ConnectionLimits? limits = null)
    : IConfigureOptions<KestrelServerOptions>
{
    /// <summary>A client that takes longer to set up TLS is disconnected.</summary>
    static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(10);

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
        (limits ?? ConnectionLimits.OfCoordinator).ApplyTo(kestrel.Limits);
        // Above the API's own limits, which answer with a reason.
        kestrel.Limits.MaxRequestLineSize = ApiLimits.HeadSlack * ApiLimits.TargetBytes;
        kestrel.Limits.MaxRequestHeadersTotalSize = ApiLimits.HeadSlack * ApiLimits.HeaderBytes;
        kestrel.Limits.MaxRequestHeaderCount = ApiLimits.HeadSlack * ApiLimits.Headers;
        kestrel.RequestHeaderEncodingSelector = _ => Encoding.Latin1;   // takes all bytes; browsers send it
        ListenForApi(kestrel);
        kestrel.Listen(_rpcWanted.EndPoint, listen =>
        {
            listen.UseClusterRpc(tls);
            _rpc = listen.IsFor(ListenerKind.Rpc);
        });
        if (_metricsWanted is not null)
            kestrel.Listen(_metricsWanted.EndPoint, listen =>
            {
                _metrics = listen.IsFor(ListenerKind.Metrics);
                listen.Protocols = HttpProtocols.Http1;
            });
    }

    /// <summary>Whether an address to listen on can be reached from this machine only.</summary>
    public static bool IsOwnMachineOnly(string listen) => ListenAddress.Parse(listen).IsLoopback;

    /// <summary>localhost is looked up as either of the two loopback addresses, so it means both; of a free port there is one only.</summary>
    void ListenForApi(KestrelServerOptions kestrel)
    {
        var certificate = CertificateOf(options.Api.Certificate);

        void Configure(ListenOptions listen)
        {
            _api = listen.IsFor(ListenerKind.Api);
            listen.Use(next => connection => connections.TrackAsync(connection, next));
            listen.Protocols = HttpProtocols.Http1;
            if (certificate is not null)
                listen.UseHttps(new TlsHandshakeCallbackOptions
                {
                    OnConnection = _ => ValueTask.FromResult(certificate.Current().ForAnyClient()),
                    HandshakeTimeout = HandshakeTimeout,
                });
        }

        if (IsLocalhost) kestrel.ListenLocalhost(_apiWanted.EndPoint.Port, Configure);
        else kestrel.Listen(_apiWanted.EndPoint, Configure);
    }

    /// <exception cref="IOException">A file cannot be used.</exception>
    WatchedFiles<OwnCertificate>? CertificateOf(ApiCertificateFiles? files)
    {
        if (files is null) return null;
        var (certificate, key) = (ApiCertificateFiles.CertificateOption, ApiCertificateFiles.KeyOption);
        var watched = new WatchedFiles<OwnCertificate>(
            [new(certificate, files.Certificate), new(key, files.Key)], () => OwnCertificate.Read(certificate, files.Certificate, key, files.Key), time);
        watched.LogTo(logger);
        return watched;
    }

    static Uri AddressOf(ListenOptions? listen, ListenAddress wanted)
        => (wanted with { EndPoint = listen?.IPEndPoint ?? throw new InvalidOperationException("the coordinator has not been started") }).Uri;
}

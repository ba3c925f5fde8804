using System.Net.Security;
using Grpc.Net.Client;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// The one place where gRPC channels to other processes are made. http addresses get plain HTTP/2 (h2c), https ones TLS. <see cref="ClusterTls"/>
/// says what a peer's certificate must be, and which one this process shows.
/// </summary>
/// <param name="tls">Null: the cluster has no TLS of its own. https addresses are then checked as on the web.</param>
public sealed class PeerChannels(ClusterTls? tls = null)
{
    /// <summary>
    /// A new channel with a connection of its own, so that bulk on one never delays another. The caller disposes of it. It connects at the
    /// first call.
    /// </summary>
    public GrpcChannel Open(Uri address) => GrpcChannel.ForAddress(address, new GrpcChannelOptions
    {
        HttpHandler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            EnableMultipleHttp2Connections = true,
            ConnectTimeout = RpcSettings.ConnectTimeout,
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            KeepAlivePingDelay = RpcSettings.PingDelay,
            KeepAlivePingTimeout = RpcSettings.PingTimeout,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
            InitialHttp2StreamWindowSize = RpcSettings.StreamWindow,
            SslOptions = tls?.ForClient(address.DnsSafeHost) ?? new SslClientAuthenticationOptions(),
        },
        DisposeHttpClient = true,
        MaxReceiveMessageSize = MessageBudgets.Received,
        MaxSendMessageSize = MessageBudgets.Received,
        ThrowOperationCanceledOnCancellation = true,
    });
}

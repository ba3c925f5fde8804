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
        HttpHandler = HandlerFor(address),
        DisposeHttpClient = true,
        MaxReceiveMessageSize = MessageBudgets.Received,
        MaxSendMessageSize = MessageBudgets.Received,
        ThrowOperationCanceledOnCancellation = true,
    });

    SocketsHttpHandler HandlerFor(Uri address)
    {
        var handler = HttpHandlers.Direct();
        handler.EnableMultipleHttp2Connections = true;
        handler.ConnectTimeout = RpcSettings.ConnectTimeout;
        handler.PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan;
        handler.KeepAlivePingDelay = RpcSettings.PingDelay;
        handler.KeepAlivePingTimeout = RpcSettings.PingTimeout;
        handler.KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests;
        handler.InitialHttp2StreamWindowSize = RpcSettings.StreamWindow;
        handler.SslOptions = tls?.ForClient(address.DnsSafeHost) ?? new SslClientAuthenticationOptions();
        return handler;
    }
}

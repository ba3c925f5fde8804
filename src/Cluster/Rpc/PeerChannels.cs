using System.Net.Security;
using Grpc.Net.Client;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// The one place where connections to other processes are made. http addresses are spoken to in plain HTTP/2 (h2c), https ones
/// with TLS; what a peer's certificate must be, and which one this process shows, <see cref="ClusterTls"/> says.
/// </summary>
/// <param name="tls">Null: the cluster has none, and https addresses are checked as anywhere else.</param>
public sealed class PeerChannels(ClusterTls? tls = null)
{
    /// <summary>
    /// A channel of its own (so its own connection: bulk on one never delays another), to be disposed of by the caller. It connects at
    /// the first call.
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

using System.Net.Security;
using Grpc.Core;
using Grpc.Net.Client;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>How calls reach other processes.</summary>
public interface IPeerConnector
{
    /// <summary>A new connection, for which nothing is sent before its first call. The caller disposes of it.</summary>
    PeerConnection Connect(Uri address);
}

/// <summary>A connection to another process.</summary>
/// <param name="Calls">What generated clients call through.</param>
/// <param name="Owned">Closed with it; calls that are open then are cancelled.</param>
public sealed record PeerConnection(CallInvoker Calls, IDisposable Owned) : IDisposable
{
    public void Dispose() => Owned.Dispose();
}

/// <summary>
/// The one place where gRPC channels to other processes are made. http addresses get plain HTTP/2 (h2c), https ones TLS. <see cref="ClusterTls"/>
/// says what a peer's certificate must be, and which one this process shows.
/// </summary>
/// <param name="tls">Null: the cluster has no TLS of its own. https addresses are then checked as on the web.</param>
public sealed class PeerChannels(ClusterTls? tls = null) : IPeerConnector
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

    public PeerConnection Connect(Uri address)
    {
        var channel = Open(address);
        return new PeerConnection(channel.CreateCallInvoker(), channel);
    }

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

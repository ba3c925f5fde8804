using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>The server's side of <see cref="RpcSettings"/>.</summary>
public static class RpcServer
{
    /// <summary>gRPC services with the cluster's message sizes, and one place where exceptions become statuses.</summary>
    public static IServiceCollection AddClusterRpc(this IServiceCollection services)
    {
        services.AddSingleton<StatusInterceptor>();
        services.AddGrpc(options =>
        {
            options.MaxReceiveMessageSize = MessageBudgets.Received;
            options.MaxSendMessageSize = MessageBudgets.Received;
            options.Interceptors.Add<StatusInterceptor>();
        });
        return services;
    }

    public static void UseClusterRpcLimits(this KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        var http2 = kestrel.Limits.Http2;
        http2.KeepAlivePingDelay = RpcSettings.PingDelay;
        http2.KeepAlivePingTimeout = RpcSettings.PingTimeout;
        http2.InitialStreamWindowSize = RpcSettings.StreamWindow;
        http2.InitialConnectionWindowSize = RpcSettings.ConnectionWindow;
    }

    /// <summary>A listener for the cluster's processes: HTTP/2, and TLS where the cluster has it.</summary>
    public static void UseClusterRpc(this ListenOptions listen, ClusterTls? tls)
    {
        listen.Protocols = HttpProtocols.Http2;
        if (tls is null) return;
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            OnConnection = _ => ValueTask.FromResult(tls.ForServer()),
            HandshakeTimeout = RpcSettings.ConnectTimeout,
        });
    }
}

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// How the cluster's processes speak gRPC. Both ends of every connection use the same values. Pings go both ways while calls are open, so
/// a cut cable or a frozen machine ends the long-lived streams after at most <see cref="PingDelay"/> + <see cref="PingTimeout"/>.
/// </summary>
public static class RpcSettings
{
    public static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);

    public static readonly TimeSpan PingDelay = TimeSpan.FromSeconds(10);

    public static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(10);

    /// <summary>For calls that only ask or tell something: Register, Describe, Check.</summary>
    public static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(10);

    /// <summary>
    /// HTTP/2 flow-control windows. Several frames may be under way before the receiver has taken the first, so a link is never idle for
    /// want of credit (100 Gbit/s over 0.1 ms need about 1.2 MB).
    /// </summary>
    public const int StreamWindow = 8 << 20;

    public const int ConnectionWindow = 16 << 20;
}

/// <summary>What both hosts set up to serve gRPC on the cluster's port.</summary>
public static class RpcServer
{
    /// <summary>gRPC with the cluster's message sizes, one place where exceptions become statuses, and the health service.</summary>
    /// <param name="reflection">Whether tools may ask which services there are; see <see cref="MapClusterRpc"/>.</param>
    public static IServiceCollection AddClusterRpc(this IServiceCollection services, bool reflection = false)
    {
        services.AddSingleton<StatusInterceptor>();
        services.AddGrpc(options =>
        {
            options.MaxReceiveMessageSize = MessageBudgets.Received;
            options.MaxSendMessageSize = MessageBudgets.Received;
            options.Interceptors.Add<StatusInterceptor>();
        });
        if (reflection) services.AddGrpcReflection();
        return services.AddClusterHealth();
    }

    /// <summary>The services that every process of the cluster has: health, and reflection where it is wanted.</summary>
    /// <param name="reflection">The same as for <see cref="AddClusterRpc"/>.</param>
    public static void MapClusterRpc(this IEndpointRouteBuilder endpoints, bool reflection = false)
    {
        endpoints.MapGrpcHealthChecksService();
        if (reflection) endpoints.MapGrpcReflectionService();
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

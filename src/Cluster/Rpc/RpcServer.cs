using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// How the cluster's processes speak gRPC. Both ends of every connection use the same values. Pings go both ways while calls are open, so
/// a cut cable or a frozen machine ends the long-lived streams after at most <see cref="PingDelay"/> + <see cref="PingTimeout"/>.
/// </summary>
public static class RpcSettings
{
    public static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);

    public static readonly TimeSpan PingDelay = TimeSpan.FromSeconds(10);

    /// <summary>Longer than a virtual machine is paused as a rule: a peer that was frozen for 20 s still has its connections when it wakes.</summary>
    public static readonly TimeSpan PingTimeout = TimeSpan.FromSeconds(30);

    /// <summary>For calls that only ask or tell something: Register, Describe, Check.</summary>
    public static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(10);

    /// <summary>
    /// HTTP/2 flow-control windows. Several frames may be under way before the receiver has taken the first, so a link is never idle for
    /// want of credit (100 Gbit/s over 0.1 ms need about 1.2 MB).
    /// </summary>
    public const int StreamWindow = 8 << 20;

    public const int ConnectionWindow = 16 << 20;

    /// <summary>Calls at a time on one connection. The coordinator and each worker make a handful.</summary>
    public const int MaxStreamsPerConnection = 32;
}

/// <summary>What both hosts set up to serve gRPC on the cluster's port.</summary>
public static class RpcServer
{
    /// <summary>
    /// gRPC with one place where exceptions become statuses, and the health service. A service takes small messages only, unless
    /// <see cref="AddLargeMessages{TService}"/> names it.
    /// </summary>
    /// <param name="reflection">Whether tools may ask which services there are; see <see cref="MapClusterRpc"/>.</param>
    public static IServiceCollection AddClusterRpc(this IServiceCollection services, bool reflection = false)
    {
        services.AddSingleton<StatusInterceptor>();
        services.AddGrpc(options =>
        {
            options.MaxReceiveMessageSize = MessageBudgets.FromAnyone;
            options.MaxSendMessageSize = MessageBudgets.Received;
            options.Interceptors.Add<StatusInterceptor>();
        });
        // The interceptor logs bugs. What is left are the messages that cannot be read, which have a line of their own (see GrpcStatus).
        services.AddLogging(logging => logging.AddFilter("Grpc.AspNetCore.Server.ServerCallHandler", LogLevel.None));
        if (reflection) services.AddGrpcReflection();
        return services.AddClusterHealth();
    }

    /// <summary>
    /// Lets a service take messages of the cluster's full size. All its methods must say who may call them (<see cref="CalledByAttribute"/>).
    /// </summary>
    public static IServiceCollection AddLargeMessages<TService>(this IServiceCollection services) where TService : class
    {
        services.AddGrpc().AddServiceOptions<TService>(options => options.MaxReceiveMessageSize = MessageBudgets.Received);
        return services;
    }

    /// <summary>What happens to a call before its service gets it. To be called before services are mapped.</summary>
    public static void UseClusterRpcRules(this IApplicationBuilder app)
    {
        app.UseUnreadableMessageStatus();
        app.UseCallerRules();
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
        http2.MaxStreamsPerConnection = RpcSettings.MaxStreamsPerConnection;
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

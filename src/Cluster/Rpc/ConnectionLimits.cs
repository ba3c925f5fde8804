using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>What connections a process takes, so that nobody fills its memory by opening them or keeps them for nothing.</summary>
/// <param name="Most">Connections of each listener: Kestrel counts them for each by itself, and closes any beyond this number.</param>
public sealed record ConnectionLimits(int Most)
{
    /// <summary>Of a coordinator. 4096 workers may be registered, with a connection for membership and one for weights each.</summary>
    public static ConnectionLimits OfCoordinator { get; } = new(10_000);

    /// <summary>Of a worker: the coordinator, the stage before and the ranks beside it connect; a cluster has at most 1024 workers.</summary>
    public static ConnectionLimits OfWorker { get; } = new(4096);

    /// <summary>A client that is slower to send a request's headers is disconnected. Default 15 s.</summary>
    public TimeSpan Headers { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>
    /// A connection without requests is closed after this time, also one on which nothing ever came. Default 130 s: longer than the usual 60 s of proxies, so
    /// that they close first and never write to a closed one.
    /// </summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromSeconds(130);

    public void ApplyTo(KestrelServerLimits limits)
    {
        limits.MaxConcurrentConnections = Most;
        limits.MaxConcurrentUpgradedConnections = 0;   // nothing here upgrades, to WebSockets or anything else
        limits.RequestHeadersTimeout = Headers;
        limits.KeepAliveTimeout = Idle;
    }
}

namespace LlamaCluster.Cluster.Rpc;

/// <summary>
/// How the cluster's processes speak gRPC; the same on both ends of every connection. Pings go both ways while calls are open, so that
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
    /// HTTP/2 flow-control windows: several frames may be under way before the receiver has taken the first, so that a link is never
    /// idle for want of credit (100 Gbit/s over 0.1 ms need about 1.2 MB).
    /// </summary>
    public const int StreamWindow = 8 << 20;

    public const int ConnectionWindow = 16 << 20;
}

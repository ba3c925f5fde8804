using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Registration;

/// <summary>What the coordinator answered to a registration.</summary>
/// <param name="Interval">How often it wants a heartbeat.</param>
/// <param name="Timeout">After how long without one it gives the worker up, and the worker the stream.</param>
sealed record Registered(WorkerId Worker, TimeSpan Interval, TimeSpan Timeout)
{
    const int LongestMilliseconds = 600_000;

    /// <exception cref="InvalidMessageException">A field is out of range.</exception>
    public static Registered Read(RegisterReply reply)
    {
        var interval = Field.Count("heartbeat_interval_milliseconds", reply.HeartbeatIntervalMilliseconds, 1, LongestMilliseconds);
        var timeout = Field.Count("heartbeat_timeout_milliseconds", reply.HeartbeatTimeoutMilliseconds, interval + 1, LongestMilliseconds);
        return new Registered(Field.Worker("worker_id", reply.WorkerId), TimeSpan.FromMilliseconds(interval), TimeSpan.FromMilliseconds(timeout));
    }
}

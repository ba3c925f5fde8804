using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Loading;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Registration;

/// <summary>What a worker says about itself when it registers.</summary>
/// <param name="Bound">Where it listens.</param>
/// <param name="Profile">Measured rates. Empty if nothing was measured.</param>
/// <param name="OwnDigest">The model that it was started with. Null: none.</param>
sealed record WorkerCard(string Name, ListenAddress Bound, WorkerMemory Memory, int Threads, string InstructionSet, Wire.Profile Profile, string? OwnDigest)
{
    public Wire.RegisterRequest ToRequest(Uri address, ShardStatus status) => new()
    {
        ProtocolVersion = ProtocolVersion.Current,
        Name = Name,
        Address = PeerAddress.Format(address),
        Capabilities = new Wire.Capabilities
        {
            MemoryBytes = (ulong)Memory.Bytes,
            Threads = (uint)Threads,
            SoftwareVersion = typeof(WorkerCard).Assembly.GetName().Version?.ToString(3) ?? "",
            InstructionSet = InstructionSet,
            TensorTypes = { Enum.GetNames<TensorType>() },
            ActivationTypes = { Wire.ActivationType.F32, Wire.ActivationType.Bf16, Wire.ActivationType.Q8 },
        },
        Profile = Profile,
        ModelDigest = OwnDigest ?? status.HeldDigest ?? "",
        HeldShard = status.Shard?.ToMessage(),
    };
}

/// <summary>What the coordinator answered to a registration.</summary>
/// <param name="Interval">How often it wants a heartbeat.</param>
/// <param name="Timeout">
/// After so long without a sign of the other, the coordinator gives up the worker, and a worker that waits for an answer the stream.
/// </param>
/// <param name="ClusterId">The cluster that the coordinator owns. "": it does not say.</param>
sealed record Registered(WorkerId Worker, TimeSpan Interval, TimeSpan Timeout, string ClusterId, ulong Epoch)
{
    const int LongestMilliseconds = 600_000;
    const int LongestClusterId = 64;

    /// <exception cref="InvalidMessageException">A field is out of range.</exception>
    public static Registered Read(RegisterReply reply)
    {
        var interval = Field.Count("heartbeat_interval_milliseconds", reply.HeartbeatIntervalMilliseconds, 1, LongestMilliseconds);
        var timeout = Field.Count("heartbeat_timeout_milliseconds", reply.HeartbeatTimeoutMilliseconds, interval + 1, LongestMilliseconds);
        return new Registered(
            Field.Worker("worker_id", reply.WorkerId), TimeSpan.FromMilliseconds(interval), TimeSpan.FromMilliseconds(timeout),
            Field.Text("cluster_id", reply.ClusterId, LongestClusterId), reply.Epoch);
    }
}

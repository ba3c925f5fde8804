using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Worker.Hosting;
using LlamaCluster.Worker.Loading;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Registration;

/// <summary>What a worker says of itself when it registers.</summary>
/// <param name="Bound">Where it listens.</param>
/// <param name="Profile">What was measured; empty if nothing was.</param>
/// <param name="OwnDigest">Of the model it was started with; null: none.</param>
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
        ViewVersion = status.ViewVersion,
    };
}

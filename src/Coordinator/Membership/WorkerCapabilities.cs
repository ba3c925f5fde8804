using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>What a worker says it can do. Numbers are 0 where unknown.</summary>
/// <param name="MemoryBytes">For weights, KV cache and buffers.</param>
/// <param name="MemoryReadBytesPerSecond">Measured; what a decode step is bound by.</param>
public sealed record WorkerCapabilities(
    long MemoryBytes,
    int Threads,
    string SoftwareVersion,
    string InstructionSet,
    IReadOnlyList<string> TensorTypes,
    IReadOnlyList<ActivationType> ActivationTypes,
    double MemoryReadBytesPerSecond,
    double MultiplyAddsPerSecond)
{
    public static WorkerCapabilities Unknown { get; } = new(0, 0, "", "", [], [], 0, 0);
}

using LlamaCluster.Protos;
using ProductPace = LlamaCluster.Coordinator.Planning.Profiles.ProductPace;

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
    /// <summary>By tensor type; empty where nothing was measured.</summary>
    public IReadOnlyDictionary<string, ProductPace> Paces { get; init; } = new Dictionary<string, ProductPace>();

    /// <summary>Workers of one machine have the same; empty where unknown.</summary>
    public string HostId { get; init; } = "";

    public int HostProcessors { get; init; }

    /// <summary>Of all processors of the host together.</summary>
    public double HostReadBytesPerSecond { get; init; }

    /// <inheritdoc cref="HostReadBytesPerSecond"/>
    public double HostMultiplyAddsPerSecond { get; init; }

    public static WorkerCapabilities Unknown { get; } = new(0, 0, "", "", [], [], 0, 0);
}

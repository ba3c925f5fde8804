using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Planning.Profiles;

/// <summary>A worker that a plan may use.</summary>
/// <param name="Name">For people; not unique.</param>
/// <param name="Address">Where the coordinator and other workers reach it.</param>
public sealed record CandidateWorker(WorkerId Id, string Name, Uri Address, MachineFacts Machine)
{
    /// <summary>Which machine it is on: as it says itself, else as its address does.</summary>
    public string Host => Machine.HostId.Length > 0 ? Machine.HostId : Address.Host;
}

/// <summary>What a worker measured of its machine. Numbers are 0 where unknown.</summary>
/// <param name="MemoryBytes">For weights, KV cache and buffers.</param>
/// <param name="MemoryReadBytesPerSecond">What a decode step is bound by.</param>
public sealed record MachineFacts(long MemoryBytes, int Threads, double MemoryReadBytesPerSecond, double MultiplyAddsPerSecond)
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

    public static MachineFacts Unknown { get; } = new(0, 0, 0, 0);
}

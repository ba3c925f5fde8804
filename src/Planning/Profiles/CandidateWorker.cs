using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Planning.Profiles;

/// <summary>A worker that a plan may use.</summary>
/// <param name="Name">For people; not unique.</param>
/// <param name="Address">Where the coordinator and other workers reach it.</param>
public sealed record CandidateWorker(WorkerId Id, string Name, Uri Address, MachineFacts Machine)
{
    /// <summary>The machine that it runs on: the host id that it reported, or the host of its address.</summary>
    public string Host => Machine.HostId.Length > 0 ? Machine.HostId : Address.Host;
}

/// <summary>What a worker measured of its machine. Numbers are 0 where unknown.</summary>
/// <param name="MemoryBytes">For weights, KV cache and buffers.</param>
/// <param name="MemoryReadBytesPerSecond">Plain reads. Memory bandwidth bounds the speed of decoding.</param>
public sealed record MachineFacts(long MemoryBytes, int Threads, double MemoryReadBytesPerSecond, double MultiplyAddsPerSecond)
{
    /// <summary>How far measurements of like workers may be apart.</summary>
    const double Tolerance = 0.1;

    public static MachineFacts Unknown { get; } = new(0, 0, 0, 0);

    /// <summary>By tensor type; empty where nothing was measured.</summary>
    public IReadOnlyDictionary<string, ProductPace> Paces { get; init; } = new Dictionary<string, ProductPace>();

    /// <summary>Workers of one machine have the same; empty where unknown.</summary>
    public string HostId { get; init; } = "";

    public int HostProcessors { get; init; }

    /// <summary>All processors of the host together.</summary>
    public double HostReadBytesPerSecond { get; init; }

    /// <inheritdoc cref="HostReadBytesPerSecond"/>
    public double HostMultiplyAddsPerSecond { get; init; }

    /// <summary>Whether both measured nearly the same speeds. Memory sizes are not compared.</summary>
    public bool IsNearly(MachineFacts other) =>
        Threads == other.Threads
        && AreNear(MemoryReadBytesPerSecond, other.MemoryReadBytesPerSecond)
        && AreNear(MultiplyAddsPerSecond, other.MultiplyAddsPerSecond)
        && HostProcessors == other.HostProcessors
        && AreNear(HostReadBytesPerSecond, other.HostReadBytesPerSecond)
        && AreNear(HostMultiplyAddsPerSecond, other.HostMultiplyAddsPerSecond)
        && Paces.Count == other.Paces.Count
        && Paces.All(pace => other.Paces.TryGetValue(pace.Key, out var theirs)
            && AreNear(pace.Value.OneRow, theirs.OneRow) && AreNear(pace.Value.ManyRows, theirs.ManyRows));

    static bool AreNear(double a, double b) => Math.Abs(a - b) <= Tolerance * Math.Max(a, b);
}

/// <summary>How fast a worker multiplies by weights of one type, in multiply-adds per second of all its threads together.</summary>
/// <param name="OneRow">One row of activations, with weights from a cache. Reading weights from memory may be slower.</param>
/// <param name="ManyRows">Many rows of activations.</param>
public readonly record struct ProductPace(double OneRow, double ManyRows);

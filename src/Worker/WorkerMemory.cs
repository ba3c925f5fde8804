using System.Globalization;

namespace LlamaCluster.Worker;

/// <summary>How much memory this worker may use for weights, KV cache and buffers.</summary>
public sealed record WorkerMemory(long Bytes)
{
    /// <summary>The rest is for the runtime, the network's buffers and other programs.</summary>
    const double Share = 0.9;

    /// <summary>What the operator says. Else a share of what is free now.</summary>
    public static WorkerMemory Of(WorkerOptions options) => new(options.MemoryBytes ?? OfEach(workers: 1));

    /// <summary>Bytes for each of several workers that will be started on this machine. None of them can know about the others.</summary>
    public static long OfEach(int workers) => (long)(Share * Free() / workers);

    /// <summary>Bytes that this process could get now: what is available on the machine, within the container's limit.</summary>
    public static long Free() => Math.Min(Limit(), Available());

    // Respects a container's limit.
    static long Limit() => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    static long Available()
    {
        const string file = "/proc/meminfo";
        const string field = "MemAvailable:";
        if (!File.Exists(file)) return long.MaxValue;
        var line = File.ReadLines(file).FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal));
        return line is null ? long.MaxValue : 1024 * long.Parse(line[field.Length..^"kB".Length], CultureInfo.InvariantCulture);
    }
}

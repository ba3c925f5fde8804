using System.Globalization;

namespace LlamaCluster.Worker;

/// <summary>How much memory this worker may use for weights, KV cache and buffers.</summary>
public sealed record WorkerMemory(long Bytes)
{
    /// <summary>The rest is for the runtime, the network's buffers and other programs.</summary>
    const double Share = 0.9;

    /// <summary>What a worker's process takes besides weights, KV cache and buffers. A small container must leave it free.</summary>
    const long OfProcess = 160L << 20;

    /// <summary>What the operator says. Else a share of what is free now.</summary>
    public static WorkerMemory Of(WorkerOptions options) => new(options.MemoryBytes ?? OfEach(workers: 1));

    /// <summary>Bytes for each of several workers that will be started on this machine. None of them can know about the others.</summary>
    public static long OfEach(int workers)
    {
        var machine = (long)(Share * Math.Min(Available(), Runtime()) / workers);
        return ContainerMemory.OfThisProcess() is { } container ? Math.Min(machine, Within(container, Own(), workers)) : machine;
    }

    /// <summary>
    /// Bytes for each of several workers of a model and for the one of its draft model, which will be started on this machine. The latter gets as much as
    /// the others, but not more than twice its weights and a gibibyte: the rest would be KV that nobody needs.
    /// </summary>
    /// <param name="draftWeights">Bytes of the draft model; null: there is none, and nothing for it.</param>
    public static (long Each, long Draft) OfEach(int workers, long? draftWeights) => draftWeights is { } weights
        ? WithDraft(OfEach(workers + 1), workers, weights)
        : (OfEach(workers), 0);

    /// <param name="equal">What each would get if all got the same.</param>
    internal static (long Each, long Draft) WithDraft(long equal, int workers, long draftWeights)
    {
        var draft = Math.Min(equal, (2 * draftWeights) + (1L << 30));
        return (equal + ((equal - draft) / workers), draft);
    }

    /// <summary>Bytes that this process could get now: what is available on the machine, within the container's limit.</summary>
    public static long Free()
    {
        var machine = Math.Min(Available(), Runtime());
        return ContainerMemory.OfThisProcess() is { } container ? Math.Min(machine, Math.Max(0, container.Limit - container.Used)) : machine;
    }

    /// <summary>
    /// Bytes for each of several workers in one container. The share is one of the limit, not of what is free now: what this process holds already
    /// is a part of what is left out.
    /// </summary>
    /// <param name="own">Bytes of <see cref="ContainerMemory.Used"/> that are this process's.</param>
    internal static long Within(ContainerMemory container, long own, int workers)
    {
        var kept = Math.Max((long)((1 - Share) * container.Limit), OfProcess * workers);
        var others = Math.Max(0, container.Used - own);
        return Math.Max(1, (container.Limit - kept - others) / workers);
    }

    /// <summary>Elsewhere than on Linux the runtime knows the limits. On Linux it would answer with three quarters of a container's.</summary>
    static long Runtime() => OperatingSystem.IsLinux() ? long.MaxValue : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    static long Available() => KibibytesOf("/proc/meminfo", "MemAvailable:") ?? long.MaxValue;

    static long Own() => KibibytesOf("/proc/self/status", "RssAnon:") ?? 0;

    static long? KibibytesOf(string file, string field)
    {
        if (!File.Exists(file)) return null;
        var line = File.ReadLines(file).FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal));
        return line is null ? null : 1024 * long.Parse(line[field.Length..^"kB".Length], CultureInfo.InvariantCulture);
    }
}

using LlamaCluster.Kernels.Measuring;
using LlamaCluster.Kernels;

namespace LlamaCluster.Cli.Bench;

/// <summary>
/// How much of the memory's speed decoding uses. A machine's memory is faster in one second than in the next, above all a shared one's; so steps and
/// plain reads take turns, and the medians of both are compared.
/// </summary>
sealed class BandwidthUse(ComputeThreads threads) : IDisposable
{
    /// <summary>Takes about as long as the step of a model that is worth measuring.</summary>
    const long BufferBytes = 256 << 20;

    readonly MemoryBandwidth _memory = new(threads, BufferBytes);
    readonly List<TimeSpan> _steps = [];
    readonly List<TimeSpan> _reads = [];

    /// <summary>Plain reads, bytes per second.</summary>
    public double MemoryBytesPerSecond => BufferBytes / Median(_reads);

    /// <summary>To be called after each step, with the time that it took.</summary>
    public void AfterStep(TimeSpan step)
    {
        _steps.Add(step);
        _reads.Add(_memory.Pass());
    }

    /// <param name="weightBytes">Weights that a step reads.</param>
    public double WeightBytesPerSecond(long weightBytes) => weightBytes / Median(_steps);

    public void Dispose() => _memory.Dispose();

    static double Median(IEnumerable<TimeSpan> times) => Percentiles.Of(times).P50;
}

/// <summary>
/// How fast some numbers of threads of this machine read memory. That changes from one second to the next, above all on a shared machine: it is measured
/// before and after what it is compared with, and the mean counts.
/// </summary>
sealed class PlainReads(bool pin, IEnumerable<int> threadCounts)
{
    static readonly TimeSpan Time = TimeSpan.FromSeconds(0.5);

    readonly Dictionary<int, List<double>> _measured = threadCounts.Distinct().ToDictionary(count => count, _ => new List<double>());

    /// <summary>Once more, for each number of threads.</summary>
    public void Measure()
    {
        foreach (var (count, measured) in _measured)
        {
            using var threads = new ComputeThreads(count, pin);
            measured.Add(MemoryBandwidth.Measure(threads, Time));
        }
    }

    /// <summary>Bytes per second of so many threads together.</summary>
    public double By(int threads) => _measured[threads].Average();
}

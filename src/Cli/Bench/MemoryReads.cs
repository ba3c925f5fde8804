using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Measuring;

namespace LlamaCluster.Cli.Bench;

/// <summary>
/// Measures how much of the memory's speed decoding uses. Memory speed changes from second to second, above all on a shared machine. So steps and plain
/// reads take turns, and their medians are compared.
/// </summary>
sealed class BandwidthUse(ComputeThreads threads) : IDisposable
{
    /// <summary>Reading it takes about as long as a step of a model that is worth measuring.</summary>
    const long BufferBytes = 256 << 20;

    readonly MemoryBandwidth _memory = new(threads, BufferBytes);
    readonly List<TimeSpan> _steps = [];
    readonly List<TimeSpan> _reads = [];

    /// <summary>Plain reads, bytes per second.</summary>
    public double MemoryBytesPerSecond => BufferBytes / Median(_reads);

    /// <summary>Call this after each step, with the time that it took.</summary>
    public void AfterStep(TimeSpan step)
    {
        _steps.Add(step);
        _reads.Add(_memory.Pass());
    }

    /// <param name="weightBytes">Stored bytes of the weights that a step reads.</param>
    public double WeightBytesPerSecond(long weightBytes) => weightBytes / Median(_steps);

    public void Dispose() => _memory.Dispose();

    static double Median(IEnumerable<TimeSpan> times) => Percentiles.Of(times).P50;
}

/// <summary>
/// Measures how fast this machine reads memory with different numbers of threads. Because memory speed changes, it is measured before and after the round
/// that it is compared with, and the mean counts.
/// </summary>
sealed class PlainReads(bool pin, IEnumerable<int> threadCounts)
{
    static readonly TimeSpan Time = TimeSpan.FromSeconds(0.5);

    readonly Dictionary<int, List<double>> _measured = threadCounts.Distinct().ToDictionary(count => count, _ => new List<double>());

    /// <summary>Measures once more for each number of threads.</summary>
    public void Measure()
    {
        foreach (var (count, measured) in _measured)
        {
            using var threads = new ComputeThreads(count, pin);
            measured.Add(MemoryBandwidth.Measure(threads, Time));
        }
    }

    /// <summary>Bytes per second of this number of threads together.</summary>
    public double By(int threads) => _measured[threads].Average();
}

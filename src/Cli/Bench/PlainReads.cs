using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Measuring;

namespace LlamaCluster.Cli.Bench;

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

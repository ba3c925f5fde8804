using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Measuring;

namespace LlamaCluster.Cli.Bench;

/// <summary>How fast so many threads of this machine read memory, measured once for each number.</summary>
sealed class PlainReads(bool pin)
{
    static readonly TimeSpan Time = TimeSpan.FromSeconds(0.5);

    readonly Dictionary<int, double> _measured = [];

    /// <summary>Bytes per second of all of them together.</summary>
    public double By(int threads)
    {
        if (!_measured.TryGetValue(threads, out var bytesPerSecond)) _measured.Add(threads, bytesPerSecond = Measure(threads));
        return bytesPerSecond;
    }

    double Measure(int count)
    {
        using var threads = new ComputeThreads(count, pin);
        return MemoryBandwidth.Measure(threads, Time);
    }
}

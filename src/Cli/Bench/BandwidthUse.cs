using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Measuring;

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

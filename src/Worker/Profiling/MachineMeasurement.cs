using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Measuring;

namespace LlamaCluster.Worker.Profiling;

/// <summary>Measures a machine in about a second: plain reads by the worker's threads and by all processors, then products with each common type.</summary>
static class MachineMeasurement
{
    const long BufferBytes = 256 << 20;
    const int Rows = 2048;
    const int Columns = 4096;
    const int ManyRows = 64;

    /// <summary>The share of plain reads at which products read weights from memory; see docs/scaling.md.</summary>
    const double WeightReading = 0.78;

    static readonly TimeSpan ReadTime = TimeSpan.FromMilliseconds(120);
    static readonly TimeSpan ProductTime = TimeSpan.FromMilliseconds(15);

    /// <summary>Those that models in use are made of; the others are taken to be like Q4_0.</summary>
    static readonly TensorType[] Types = [TensorType.Q4_0, TensorType.Q8_0, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K, TensorType.F16];

    public static MachineProfile Run(ComputeThreads threads)
    {
        var read = MemoryBandwidth.Measure(threads, ReadTime, BufferBytes);
        var (processors, hostRead) = MeasureHost(threads.Count, read);
        var paces = Types.Select(type => PaceOf(threads, type, read)).ToList();
        return new MachineProfile(read, paces[0].ManyRows, hostRead, processors, paces);
    }

    /// <summary>The weights of one row's product come from memory in earnest, from a cache here: the slower of both rates is what counts.</summary>
    static TypePace PaceOf(ComputeThreads threads, TensorType type, double read)
    {
        var fromMemory = WeightReading * read * Columns / type.RowBytes(Columns);
        var fromCache = MultiplyRate.Measure(threads, ProductTime, type, Rows, Columns, batch: 1);
        return new TypePace(type.ToString(), Math.Min(fromMemory, fromCache), MultiplyRate.Measure(threads, ProductTime, type, Rows, Columns, ManyRows));
    }

    /// <summary>All processors, also those that this process is kept from: its neighbours may have them.</summary>
    static (int Processors, double Read) MeasureHost(int ownThreads, double ownRead)
    {
        var online = Processors.Online();
        if (online.Length <= ownThreads) return (Math.Max(1, online.Length > 0 ? online.Length : Environment.ProcessorCount), ownRead);
        var read = 0.0;
        Processors.RunOn(online, () =>
        {
            using var all = new ComputeThreads(online.Length);
            read = MemoryBandwidth.Measure(all, ReadTime, BufferBytes);
        });
        return (online.Length, Math.Max(read, ownRead));
    }
}

using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Measuring;
using LlamaCluster.Primitives;

namespace LlamaCluster.Worker.Profiling;

/// <summary>
/// Measures a machine in about a second: plain reads of memory, and products of one row and of many rows with each common tensor type, with
/// weights that fit in a cache. It measures the same with all processors of the host, because other workers may share them.
/// <para>
/// The measurement goes in rounds, and the best one counts. What disturbs it, like the start of other workers, seldom lasts through all rounds.
/// </para>
/// </summary>
sealed class MachineMeasurement : IDisposable
{
    const int Rounds = 4;

    /// <summary>Half as many would be too few: some processors would find a part of them in their last cache.</summary>
    const long BufferBytes = 256 << 20;

    const int Rows = 2048;
    const int Columns = 4096;
    const int ManyRows = 64;

    static readonly TimeSpan ReadTime = TimeSpan.FromMilliseconds(30);
    static readonly TimeSpan ProductTime = TimeSpan.FromMilliseconds(5);

    /// <summary>The types of models in use. The planner takes other types to be like Q4_0.</summary>
    static readonly TensorType[] Types =
        [TensorType.Q4_0, TensorType.Q8_0, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K, TensorType.IQ4_XS, TensorType.F16];

    /// <summary>All processors of the host, even those that this process may not use: other workers may use them.</summary>
    readonly int[] _processors = Processors.Online();

    readonly List<IDisposable> _owned = [];
    readonly RepeatedRate _read;
    readonly IReadOnlyList<(TensorType Type, RepeatedRate OneRow, RepeatedRate ManyRows)> _products;

    /// <summary>Measured by threads on all processors. Null if the worker has as many threads.</summary>
    readonly (RepeatedRate Read, RepeatedRate Multiply)? _host;

    MachineMeasurement(ComputeThreads threads)
    {
        var memory = Own(new MemoryBandwidth(threads, BufferBytes));
        _read = new RepeatedRate(memory.Pass, BufferBytes, ReadTime);
        _products = [.. Types.Select(type => (type, ProductBy(threads, type, rows: 1), ProductBy(threads, type, ManyRows)))];
        if (_processors.Length <= threads.Count) return;
        var all = Own(ThreadsOn(_processors));
        _host = (new RepeatedRate(() => memory.Pass(all), BufferBytes, ReadTime), ProductBy(all, Types[0], ManyRows));
    }

    public static MachineProfile Run(ComputeThreads threads)
    {
        using var measurement = new MachineMeasurement(threads);
        for (var round = 0; round < Rounds; round++) measurement.Round();
        return measurement.ToProfile();
    }

    public void Dispose() => _owned.ForEach(owned => owned.Dispose());

    static ComputeThreads ThreadsOn(int[] processors)
    {
        ComputeThreads? threads = null;
        Processors.RunOn(processors, () => threads = new ComputeThreads(processors.Length));
        return threads!;
    }

    RepeatedRate ProductBy(ComputeThreads threads, TensorType type, int rows)
    {
        var product = Own(new MultiplyRate(threads, type, Rows, Columns, rows));
        return new RepeatedRate(product.Pass, product.MultiplyAdds, ProductTime);
    }

    T Own<T>(T owned) where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    void Round()
    {
        _read.Round();
        if (_host is var (hostRead, hostMultiply))
            Processors.RunOn(_processors, () =>
            {
                hostRead.Round();
                hostMultiply.Round();
            });
        foreach (var (_, oneRow, manyRows) in _products)
        {
            oneRow.Round();
            manyRows.Round();
        }
    }

    MachineProfile ToProfile()
    {
        var paces = _products.Select(product => new TypePace(product.Type.ToString(), product.OneRow.PerSecond, product.ManyRows.PerSecond)).ToList();
        var (read, multiply) = (_read.PerSecond, paces[0].ManyRows);
        return new MachineProfile(
            read, multiply, Math.Max(read, _host?.Read.PerSecond ?? 0), Math.Max(multiply, _host?.Multiply.PerSecond ?? 0),
            _processors.Length > 0 ? _processors.Length : Environment.ProcessorCount, paces);
    }
}

/// <summary>A rate that is measured in several rounds, of which the best counts.</summary>
/// <param name="pass">Does the measured work once, and returns how long it took.</param>
/// <param name="amount">Bytes or multiply-adds of a pass.</param>
/// <param name="duration">How long a round takes.</param>
sealed class RepeatedRate(Func<TimeSpan> pass, double amount, TimeSpan duration)
{
    TimeSpan _best = TimeSpan.MaxValue;

    public double PerSecond => amount / _best.TotalSeconds;

    public void Round()
    {
        var time = BestTime.Of(pass, duration);
        if (time < _best) _best = time;
    }
}

using LlamaCluster.Coordinator.Planning.Profiles;

namespace LlamaCluster.Coordinator.Planning.Costs;

/// <summary>How long one worker takes for parts of a model, with what else goes on on its host.</summary>
sealed class RankPace
{
    readonly Overheads _overheads;
    readonly WorkerProfile _worker;

    /// <summary>Seconds that memory takes for a byte while others of the host read too, with nothing but reading going on.</summary>
    readonly double _hostSecondsPerByte;

    /// <summary>How much longer the processors take, having more threads than they are.</summary>
    readonly double _crowding;

    public RankPace(ClusterProfile cluster, int worker, HostUse use, Overheads overheads)
    {
        (_worker, _overheads) = (cluster.Workers[worker], overheads);
        var host = cluster.Hosts[_worker.Host];
        _hostSecondsPerByte = host.ReadBytesPerSecond > 0 ? use.Workers(_worker.Host) / host.ReadBytesPerSecond : 0;
        _crowding = host.Processors > 0 ? Math.Max(1, (double)use.Threads(_worker.Host) / host.Processors) : 1;
    }

    /// <summary>Products of some rows with weights.</summary>
    public TimeParts Product(TypedWeights weights, double fraction, int rows)
    {
        if (weights.Elements == 0) return default;
        var part = weights.Share(fraction);
        var pace = _worker.PaceOf(weights, _overheads.WeightReading);
        var reading = Math.Max(_crowding * part.Elements / pace.OneRow, part.Bytes * _hostSecondsPerByte / _overheads.WeightReading);
        var arithmetic = _crowding * rows * part.Elements / pace.ManyRows;
        return reading >= arithmetic ? new TimeParts { Weights = reading } : new TimeParts { Arithmetic = arithmetic };
    }

    /// <summary>Attention's reading of that many bytes of keys and values.</summary>
    public TimeParts Attend(double bytes) => new()
    {
        Attention = bytes / _overheads.KvReading * Math.Max(_crowding / _worker.ReadBytesPerSecond, _hostSecondsPerByte),
    };

    /// <summary>Work that takes <paramref name="seconds"/> on processors that have nothing else to do.</summary>
    public TimeParts Program(double seconds) => new() { Program = seconds * _crowding };
}

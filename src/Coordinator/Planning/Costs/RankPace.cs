using LlamaCluster.Coordinator.Planning.Profiles;

namespace LlamaCluster.Coordinator.Planning.Costs;

/// <summary>How long one worker takes for parts of a model, with what else goes on on its host.</summary>
sealed class RankPace
{
    readonly Overheads _overheads;
    readonly WorkerProfile _worker;

    /// <summary>Seconds in which plain reads take a byte from memory, while others of the host read too.</summary>
    readonly double _secondsPerByte;

    public RankPace(ClusterProfile cluster, int worker, HostUse use, Overheads overheads)
    {
        (_worker, _overheads) = (cluster.Workers[worker], overheads);
        var host = cluster.Hosts[_worker.Host];
        Crowding = host.Processors > 0 ? Math.Max(1, (double)use.Threads(_worker.Host) / host.Processors) : 1;
        _secondsPerByte = Math.Max(Crowding / _worker.ReadBytesPerSecond, host.ReadBytesPerSecond > 0 ? use.Workers(_worker.Host) / host.ReadBytesPerSecond : 0);
    }

    /// <summary>How much longer the processors take, having more threads than they are; 1 at least.</summary>
    public double Crowding { get; }

    /// <summary>Products of some rows with weights.</summary>
    public TimeParts Product(TypedWeights weights, double fraction, int rows)
    {
        if (weights.Elements == 0) return default;
        var part = weights.Share(fraction);
        var pace = _worker.PaceOf(weights.Type);
        var reading = part.Bytes * _secondsPerByte / _overheads.WeightReading;
        var arithmetic = Crowding * part.Elements * Math.Max(1 / pace.OneRow, rows / pace.ManyRows);
        return reading >= arithmetic ? new TimeParts { Weights = reading } : new TimeParts { Arithmetic = arithmetic };
    }

    /// <summary>Attention's reading of that many bytes of keys and values.</summary>
    public TimeParts Attend(double bytes) => new()
    {
        Attention = bytes * _secondsPerByte / _overheads.KvReading,
    };

    /// <summary>Work that takes <paramref name="seconds"/> on processors that have nothing else to do.</summary>
    public TimeParts Program(double seconds) => new() { Program = seconds * Crowding };
}

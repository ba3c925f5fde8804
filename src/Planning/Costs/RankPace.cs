using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Costs;

/// <summary>How long one worker takes for parts of a model, with what else goes on on its host.</summary>
sealed class RankPace
{
    readonly Overheads _overheads;
    readonly WorkerProfile _worker;
    readonly HostUse _use;

    /// <summary>Seconds in which plain reads take a byte from memory, while others of the host read too.</summary>
    readonly double _secondsPerByte;

    /// <param name="use">Of the worker's host.</param>
    public RankPace(ClusterProfile cluster, int worker, HostUse use, Overheads overheads)
    {
        (_worker, _use, _overheads) = (cluster.Workers[worker], use, overheads);
        var hostRead = cluster.Hosts[_worker.Host].ReadBytesPerSecond;
        _secondsPerByte = Math.Max(use.Crowding / _worker.ReadBytesPerSecond, hostRead > 0 ? use.Workers / hostRead : 0);
    }

    /// <summary>
    /// Products of some rows with weights. Weights come while processors multiply, but not all of the time: what memory and what processors take
    /// adds up like the sides of a right angle, which is what products were measured to do.
    /// </summary>
    public TimeParts Product(TypedWeights weights, double fraction, int rows)
    {
        if (weights.Elements == 0) return default;
        var part = weights.Share(fraction);
        var pace = _worker.PaceOf(weights.Type);
        var reading = part.Bytes * _secondsPerByte / _overheads.WeightReading;
        var arithmetic = _use.Slowdown * part.Elements * Math.Max(1 / pace.OneRow, rows / pace.ManyRows);
        var both = double.Hypot(reading, arithmetic);
        return reading >= arithmetic ? new TimeParts { Weights = both } : new TimeParts { Arithmetic = both };
    }

    /// <summary>Attention's reading of that many bytes of keys and values.</summary>
    public TimeParts Attend(double bytes) => new() { Attention = bytes * _secondsPerByte / _overheads.KvReading };

    /// <summary>Work that takes <paramref name="seconds"/> on processors that have nothing else to do.</summary>
    public TimeParts Program(double seconds) => new() { Program = seconds * _use.Crowding };
}

using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning.Costs;

/// <summary>How long one worker takes for parts of a model while its neighbours on the host work too.</summary>
sealed class RankPace
{
    readonly Overheads _overheads;
    readonly WorkerProfile _worker;
    readonly HostUse _use;

    /// <summary>Seconds per byte of plain reads while other workers of the host read too.</summary>
    readonly double _secondsPerByte;

    /// <param name="use">The use of the worker's host.</param>
    public RankPace(ClusterProfile cluster, int worker, HostUse use, Overheads overheads)
    {
        (_worker, _use, _overheads) = (cluster.Workers[worker], use, overheads);
        var hostRead = cluster.Hosts[_worker.Host].ReadBytesPerSecond;
        _secondsPerByte = Math.Max(use.Crowding / _worker.ReadBytesPerSecond, hostRead > 0 ? use.Workers / hostRead : 0);
    }

    /// <summary>
    /// Products of some rows with weights. Reading and multiplying overlap in part. Measurements fit the hypotenuse of the two times: the root of the sum of
    /// their squares.
    /// </summary>
    public TimeParts Product(TypedWeights weights, double fraction, double rows)
    {
        if (weights.Elements == 0) return default;
        var part = weights.Share(fraction);
        var pace = _worker.PaceOf(weights.Type);
        var reading = part.Bytes * _secondsPerByte / _overheads.WeightReading;
        var arithmetic = _use.Slowdown * part.Elements * Math.Max(1 / pace.OneRow, rows / pace.ManyRows);
        var both = double.Hypot(reading, arithmetic);
        return reading >= arithmetic ? new TimeParts { Weights = both } : new TimeParts { Arithmetic = both };
    }

    /// <summary>Attention that reads so many bytes of keys and values.</summary>
    public TimeParts Attend(double bytes) => new() { Attention = bytes * _secondsPerByte / _overheads.KvReading };

    /// <summary>Activations that are moved at the pace of plain reads.</summary>
    public TimeParts Move(double bytes) => new() { Program = bytes * _secondsPerByte };

    /// <summary>Work that takes <paramref name="seconds"/> on idle processors.</summary>
    public TimeParts Program(double seconds) => new() { Program = seconds * _use.Crowding };
}

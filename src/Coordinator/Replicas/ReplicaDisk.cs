using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// The disk tier of a view and the workers' disks that it speaks of. Sequences wait for disks only while some worker answers: when none has for a
/// while, nobody waits for them any more in this view. Used by the replica's loop only.
/// </summary>
sealed partial class ReplicaDisk : IDisposable
{
    /// <summary>How long all disks may be silent while sequences wait for them.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    readonly IWorkerDisks _disks;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    readonly ITimer _late;
    readonly Action _wake;
    long? _silentSince;   // a timestamp, while sequences wait
    long _reports;

    /// <param name="wake">Has the loop look again; from any thread.</param>
    public ReplicaDisk(IWorkerDisks disks, KvBlockPool pool, Action wake, TimeProvider time, ILogger logger)
    {
        (_disks, _wake, _time, _logger) = (disks, wake, time, logger);
        Tier = new DiskTier(pool, disks.Count, disks.SpillsAtOnce);
        _late = time.CreateTimer(_ => wake(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public DiskTier Tier { get; }

    /// <summary>Sends what no step has taken along, and looks whether the disks still answer.</summary>
    public void SendMoves()
    {
        if (Tier.TakeMoves() is { } moves) _disks.Move(moves);
        if (Tier.Restoring > 0) Watch();
        else _silentSince = null;
    }

    public void Dispose() => _late.Dispose();

    void Watch()
    {
        var now = _time.GetTimestamp();
        if (_silentSince is null || Tier.Reports != _reports) (_silentSince, _reports) = (now, Tier.Reports);
        var left = Patience - _time.GetElapsedTime(_silentSince.Value, now);
        if (left > TimeSpan.Zero)
        {
            _late.Change(left, Timeout.InfiniteTimeSpan);
            return;
        }
        LogGivenUp(Patience.TotalSeconds, Tier.Restoring);
        Tier.GiveUp();
        _wake();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "No worker's disk has answered for {Seconds} s while {Restores} restores were waited for; KV blocks on disk are left alone in this view")]
    partial void LogGivenUp(double seconds, int restores);
}

using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// The disk tier of a view and the workers' disks that it speaks of. Sequences wait for a disk for as long as its worker says that blocks come back,
/// however many those are. If one is silent for too long, nobody waits for any of them any more in this view. Used by the replica's loop only.
/// </summary>
sealed partial class ReplicaDisk : IDisposable
{
    readonly IWorkerDisks _disks;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    readonly ITimer _late;
    readonly Action _wake;
    readonly (long Since, long Answers)?[] _silent;   // by worker: since when it has said no more than so much, while it is waited for

    /// <param name="wake">Has the loop look again; from any thread.</param>
    public ReplicaDisk(IWorkerDisks disks, KvBlockPool pool, Action wake, TimeProvider time, ILogger logger)
    {
        (_disks, _wake, _time, _logger, _silent) = (disks, wake, time, logger, new (long, long)?[disks.Count]);
        Tier = new DiskTier(pool, disks.Count, disks.SpillsAtOnce);
        _late = time.CreateTimer(_ => wake(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public DiskTier Tier { get; }

    /// <summary>Sends what no step has taken along, and looks whether the disks still answer.</summary>
    public void SendMoves()
    {
        do
        {
            if (Tier.TakeMoves() is { } moves) _disks.Move(moves);
        }
        while (Tier.HasMoreToSay);
        if (Tier.Restoring > 0) Watch();
        else Array.Clear(_silent);
    }

    public void Dispose() => _late.Dispose();

    void Watch()
    {
        var (now, left) = (_time.GetTimestamp(), _disks.Patience);
        for (var worker = 0; worker < _silent.Length; worker++)
        {
            if (!Tier.IsAwaited(worker))
            {
                _silent[worker] = null;
                continue;
            }
            var answers = Tier.AnswersOf(worker);
            if (_silent[worker] is not { } silent || silent.Answers != answers) _silent[worker] = silent = (now, answers);
            var its = _disks.Patience - _time.GetElapsedTime(silent.Since, now);
            if (its <= TimeSpan.Zero)
            {
                GiveUp(worker);
                return;
            }
            if (its < left) left = its;
        }
        _late.Change(left, Timeout.InfiniteTimeSpan);
    }

    void GiveUp(int worker)
    {
        LogGivenUp(_disks.NameOf(worker), _disks.Patience.TotalSeconds, Tier.Restoring);
        Tier.GiveUp();
        _wake();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "The disk of {Worker} has given nothing back for {Seconds} s while {Restores} restores were waited for; KV blocks on disk are left alone in this view")]
    partial void LogGivenUp(string worker, double seconds, int restores);
}

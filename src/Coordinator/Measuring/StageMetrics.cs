using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>What workers report of each step, by stage and rank. Safe for concurrent use.</summary>
public sealed class StageMetrics
{
    const double Microsecond = 1e-6;

    readonly TotalCounter _rows;
    readonly TotalCounter _busy;
    readonly Histogram<double> _compute;
    readonly Histogram<double> _wait;
    readonly Histogram<double> _sync;
    readonly Histogram<double> _roundTrip;
    readonly TotalCounter _syncSent;
    readonly TotalCounter _activationsSent;

    /// <summary>Kept, because one made for each step would be allocated each time.</summary>
    readonly Func<(string Replica, int Stage, int Rank), RankTotals> _begin;

    // As many entries as a view had ranks at the most.
    readonly ConcurrentDictionary<(string Replica, int Stage, int Rank), RankTotals> _ranks = [];

    internal StageMetrics(Meter meter)
    {
        _begin = Begin;
        _rows = new TotalCounter(meter, CoordinatorMetricTable.StageRows);
        _busy = new TotalCounter(meter, CoordinatorMetricTable.StageBusy, scale: Microsecond);
        _compute = meter.Histogram<double>(CoordinatorMetricTable.StageCompute);
        _wait = meter.Histogram<double>(CoordinatorMetricTable.StageWait);
        _sync = meter.Histogram<double>(CoordinatorMetricTable.StageSync);
        _roundTrip = meter.Histogram<double>(CoordinatorMetricTable.StageRoundTrip);
        _syncSent = new TotalCounter(meter, CoordinatorMetricTable.SyncSent);
        _activationsSent = new TotalCounter(meter, CoordinatorMetricTable.ActivationsSent);
    }

    /// <param name="roundTrip">From the sending of the step to the worker's answer.</param>
    public void Ran(string replica, int stage, int rank, StepTimings timings, TimeSpan roundTrip)
    {
        var (labels, rows, busy, syncSent, activationsSent) = _ranks.GetOrAdd((replica, stage, rank), _begin);
        rows.Add(timings.Rows);
        busy.Add(Counted(timings.ComputeMicroseconds));
        _compute.Record(timings.ComputeMicroseconds * Microsecond, labels);
        _wait.Record(timings.WaitMicroseconds * Microsecond, labels);
        _roundTrip.Record(roundTrip.TotalSeconds, labels);
        if (timings.SyncMicroseconds > 0) _sync.Record(timings.SyncMicroseconds * Microsecond, labels);
        syncSent.Add(Counted(timings.SyncBytes));
        activationsSent.Add(Counted(timings.ActivationBytes));
    }

    /// <summary>What was counted of a rank of a stage so far, in all views together; zeros if nothing.</summary>
    public RankReadout Read(string replica, int stage, int rank) => _ranks.TryGetValue((replica, stage, rank), out var totals)
        ? new RankReadout(totals.Busy.Value * Microsecond, totals.ActivationsSent.Value, totals.SyncSent.Value) { Rows = totals.Rows.Value }
        : default;

    RankTotals Begin((string Replica, int Stage, int Rank) of)
    {
        KeyValuePair<string, object?>[] labels =
            [new(CoordinatorMetricTable.Replica, of.Replica), new(CoordinatorMetricTable.Stage, of.Stage), new(CoordinatorMetricTable.Rank, of.Rank)];
        return new RankTotals(labels, _rows.Of(labels), _busy.Of(labels), _syncSent.Of(labels), _activationsSent.Of(labels));
    }

    /// <summary>A worker may report any number; a sum of these must not come to count backwards.</summary>
    static long Counted(ulong reported) => (long)Math.Min(reported, long.MaxValue >> 20);

    /// <summary>What is counted of one rank of a stage, made once.</summary>
    sealed record RankTotals(KeyValuePair<string, object?>[] Labels, Total Rows, Total Busy, Total SyncSent, Total ActivationsSent);
}

/// <summary>What was counted of one rank of a stage.</summary>
/// <param name="BusySeconds">In which it computed.</param>
/// <param name="ActivationBytes">Sent to the next stage.</param>
/// <param name="SumBytes">Sent to the other ranks of its stage.</param>
public readonly record struct RankReadout(double BusySeconds, long ActivationBytes, long SumBytes)
{
    /// <summary>Token positions that it computed.</summary>
    public long Rows { get; init; }
}

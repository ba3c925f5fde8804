using System.Diagnostics.Metrics;
using System.Diagnostics;
using LlamaCluster.Coordinator.Measuring;

namespace LlamaCluster.Cli.Bench;

/// <summary>Follows a coordinator's own metrics: what it generated, in how many steps, for how long its stages computed, and what they sent.</summary>
sealed class StageMeter : IDisposable
{
    readonly MeterListener _listener = new();
    readonly Lock _lock = new();
    readonly SortedDictionary<int, StageTotals> _stages = [];
    long _steps;
    long _tokens;

    /// <param name="meters">The coordinator's.</param>
    public StageMeter(IMeterFactory meters)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == CoordinatorMetrics.MeterName && instrument.Meter.Scope == meters) listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Count(instrument.Name, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, seconds, tags, _) => CountTime(instrument.Name, seconds, tags));
        _listener.Start();
    }

    /// <summary>All so far.</summary>
    public StageReading Read()
    {
        lock (_lock) return new StageReading(TimeProvider.System.GetTimestamp(), _steps, _tokens, [.. _stages.Values]);
    }

    public void Dispose() => _listener.Dispose();

    void Count(string instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var (stage, rank) = PlaceOf(tags);
        lock (_lock)
            switch (instrument)
            {
                case CoordinatorMetrics.Steps: _steps += value; break;
                case CoordinatorMetrics.GeneratedTokens: _tokens += value; break;
                case CoordinatorMetrics.ActivationsSent: Add(stage, new StageTotals { ActivationBytes = value }); break;
                case CoordinatorMetrics.TensorSyncSent when rank == 0: Add(stage, new StageTotals { SyncBytes = value }); break;
            }
    }

    /// <summary>The ranks of a stage compute at the same time: the first one's time is the stage's.</summary>
    void CountTime(string instrument, double seconds, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var (stage, rank) = PlaceOf(tags);
        if (rank > 0) return;
        lock (_lock)
            switch (instrument)
            {
                case CoordinatorMetrics.StageBusy: Add(stage, new StageTotals { BusySeconds = seconds }); break;
                case CoordinatorMetrics.TensorSync: Add(stage, new StageTotals { SyncSeconds = seconds }); break;
            }
    }

    void Add(int stage, StageTotals more) => _stages[stage] = _stages.GetValueOrDefault(stage) + more;

    static (int Stage, int Rank) PlaceOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var (stage, rank) = (0, 0);
        foreach (var (name, value) in tags)
            if (name == CoordinatorMetrics.StageTag) stage = (int)value!;
            else if (name == CoordinatorMetrics.RankTag) rank = (int)value!;
        return (stage, rank);
    }
}

/// <summary>What a stage had done at a moment, or between two.</summary>
/// <param name="BusySeconds">In which its first rank computed.</param>
/// <param name="SyncSeconds">In which its first rank exchanged what it computed with the others.</param>
/// <param name="ActivationBytes">That all its ranks together sent to the next stage.</param>
/// <param name="SyncBytes">That its first rank sent to the others.</param>
readonly record struct StageTotals(double BusySeconds, double SyncSeconds, long ActivationBytes, long SyncBytes)
{
    public static StageTotals operator +(StageTotals a, StageTotals b) =>
        new(a.BusySeconds + b.BusySeconds, a.SyncSeconds + b.SyncSeconds, a.ActivationBytes + b.ActivationBytes, a.SyncBytes + b.SyncBytes);

    public static StageTotals operator -(StageTotals a, StageTotals b) =>
        new(a.BusySeconds - b.BusySeconds, a.SyncSeconds - b.SyncSeconds, a.ActivationBytes - b.ActivationBytes, a.SyncBytes - b.SyncBytes);
}

/// <summary>What a cluster had done at a moment.</summary>
/// <param name="Timestamp">The moment (<see cref="Stopwatch.GetTimestamp"/>).</param>
/// <param name="Tokens">Generated.</param>
sealed record StageReading(long Timestamp, long Steps, long Tokens, IReadOnlyList<StageTotals> Stages)
{
    /// <summary>What was done since an earlier reading, in how many seconds.</summary>
    public (double Seconds, long Steps, long Tokens, StageLoad[] Stages) Since(StageReading earlier)
    {
        var seconds = Stopwatch.GetElapsedTime(earlier.Timestamp, Timestamp).TotalSeconds;
        var (steps, tokens) = (Steps - earlier.Steps, Tokens - earlier.Tokens);
        return (seconds, steps, tokens, [.. Stages.Select((totals, stage) => StageLoad.Of(
            stage, totals - earlier.Stages.ElementAtOrDefault(stage), seconds, steps, tokens))]);
    }
}

/// <summary>What a stage did while all streams decoded.</summary>
/// <param name="BusyFraction">Of the time in which it computed; whatever kept it from the processor meanwhile counts too.</param>
/// <param name="ComputeSeconds">A step's, in the mean.</param>
/// <param name="SyncSeconds">A step's exchanges between the ranks of the stage, in the mean; 0 where there is one rank.</param>
/// <param name="PauseSeconds">Between two steps, in the mean: waiting for the coordinator or for activations, and handing over.</param>
/// <param name="ActivationBytes">Sent to the next stage for a token, by all ranks together, in the mean.</param>
/// <param name="SyncBytes">Sent by the first rank to the others for a token, in the mean.</param>
sealed record StageLoad(
    int Stage, double BusyFraction, double ComputeSeconds, double SyncSeconds, double PauseSeconds, double ActivationBytes, double SyncBytes)
{
    /// <param name="totals">What it did in the given time, in which the cluster did so many steps and generated so many tokens.</param>
    public static StageLoad Of(int stage, StageTotals totals, double seconds, long steps, long tokens)
    {
        var (busy, sync) = (totals.BusySeconds, totals.SyncSeconds);
        return new StageLoad(
            stage, busy / seconds, busy / steps, sync / steps, Math.Max(0, seconds - busy - sync) / steps,
            (double)totals.ActivationBytes / tokens, (double)totals.SyncBytes / tokens);
    }
}

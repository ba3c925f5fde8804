using System.Diagnostics;
using System.Diagnostics.Metrics;
using LlamaCluster.Coordinator.Measuring;

namespace LlamaCluster.Cli.Bench;

/// <summary>Sums up a coordinator's own metrics: generated tokens, steps, and each stage's computing time and sent bytes.</summary>
sealed class StageMeter : IDisposable
{
    readonly MeterListener _listener = new();
    readonly Lock _lock = new();
    readonly SortedDictionary<int, double> _syncSeconds = [];   // by stage; a histogram, whose values come as they happen
    readonly SortedDictionary<int, StageTotals> _stages = [];   // as they were read last
    long _steps;
    long _tokens;

    /// <param name="meters">The coordinator's meters.</param>
    public StageMeter(IMeterFactory meters)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == CoordinatorMetrics.MeterName && instrument.Meter.Scope == meters) listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Take(instrument.Name, value, tags));
        _listener.Start();
    }

    /// <summary>The sums so far.</summary>
    public StageReading Read()
    {
        lock (_lock)
        {
            (_steps, _tokens) = (0, 0);
            _stages.Clear();
            foreach (var (stage, seconds) in _syncSeconds) Add(stage, new StageTotals { SyncSeconds = seconds });
            _listener.RecordObservableInstruments();
            return new StageReading(TimeProvider.System.GetTimestamp(), _steps, _tokens, [.. _stages.Values]);
        }
    }

    public void Dispose() => _listener.Dispose();

    /// <summary>The ranks of a stage compute at the same time, so the first rank's time stands for the stage.</summary>
    void Take(string instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var (stage, rank) = PlaceOf(tags);
        lock (_lock)
            if (instrument == CoordinatorMetricTable.Steps.Name) _steps += (long)value;
            else if (instrument == CoordinatorMetricTable.GeneratedTokens.Name) _tokens += (long)value;
            else if (instrument == CoordinatorMetricTable.ActivationsSent.Name) Add(stage, new StageTotals { ActivationBytes = (long)value });
            else if (rank > 0) return;
            else if (instrument == CoordinatorMetricTable.SyncSent.Name) Add(stage, new StageTotals { SyncBytes = (long)value });
            else if (instrument == CoordinatorMetricTable.StageBusy.Name) Add(stage, new StageTotals { BusySeconds = value });
            else if (instrument == CoordinatorMetricTable.StageSync.Name) _syncSeconds[stage] = _syncSeconds.GetValueOrDefault(stage) + value;
    }

    void Add(int stage, StageTotals more) => _stages[stage] = _stages.GetValueOrDefault(stage) + more;

    static (int Stage, int Rank) PlaceOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var (stage, rank) = (0, 0);
        foreach (var (name, value) in tags)
            if (name == CoordinatorMetricTable.Stage) stage = (int)value!;
            else if (name == CoordinatorMetricTable.Rank) rank = (int)value!;
        return (stage, rank);
    }
}

/// <summary>A stage's sums at a moment, or between two moments.</summary>
/// <param name="BusySeconds">The time that its first rank computed.</param>
/// <param name="SyncSeconds">The time that its first rank exchanged sums with the other ranks.</param>
/// <param name="ActivationBytes">Sent to the next stage by all its ranks together.</param>
/// <param name="SyncBytes">Sent to the other ranks by its first rank.</param>
readonly record struct StageTotals(double BusySeconds, double SyncSeconds, long ActivationBytes, long SyncBytes)
{
    public static StageTotals operator +(StageTotals a, StageTotals b) =>
        new(a.BusySeconds + b.BusySeconds, a.SyncSeconds + b.SyncSeconds, a.ActivationBytes + b.ActivationBytes, a.SyncBytes + b.SyncBytes);

    public static StageTotals operator -(StageTotals a, StageTotals b) =>
        new(a.BusySeconds - b.BusySeconds, a.SyncSeconds - b.SyncSeconds, a.ActivationBytes - b.ActivationBytes, a.SyncBytes - b.SyncBytes);
}

/// <summary>A cluster's sums at a moment.</summary>
/// <param name="Timestamp">The moment (<see cref="Stopwatch.GetTimestamp"/>).</param>
/// <param name="Tokens">Generated tokens.</param>
sealed record StageReading(long Timestamp, long Steps, long Tokens, IReadOnlyList<StageTotals> Stages)
{
    /// <summary>The differences to an earlier reading.</summary>
    public (double Seconds, long Steps, long Tokens, StageLoad[] Stages) Since(StageReading earlier)
    {
        var seconds = Stopwatch.GetElapsedTime(earlier.Timestamp, Timestamp).TotalSeconds;
        var (steps, tokens) = (Steps - earlier.Steps, Tokens - earlier.Tokens);
        return (seconds, steps, tokens, [.. Stages.Select((totals, stage) => StageLoad.Of(
            stage, totals - earlier.Stages.ElementAtOrDefault(stage), seconds, steps, tokens))]);
    }
}

/// <summary>A stage's work while all streams decoded. Times and bytes are means.</summary>
/// <param name="BusyFraction">The part of the time in which it computed, including time in which other programs had its processor.</param>
/// <param name="ComputeSeconds">Computing, per step.</param>
/// <param name="SyncSeconds">Exchanges between the ranks of the stage, per step; 0 with one rank.</param>
/// <param name="PauseSeconds">The pause between two steps: waiting for the coordinator or for activations, and sending.</param>
/// <param name="ActivationBytes">Sent to the next stage per token, by all ranks together.</param>
/// <param name="SyncBytes">Sent by the first rank to the other ranks per token.</param>
sealed record StageLoad(
    int Stage, double BusyFraction, double ComputeSeconds, double SyncSeconds, double PauseSeconds, double ActivationBytes, double SyncBytes)
{
    /// <param name="totals">The stage's sums over the given time, steps and tokens of the cluster.</param>
    public static StageLoad Of(int stage, StageTotals totals, double seconds, long steps, long tokens)
    {
        var (busy, sync) = (totals.BusySeconds, totals.SyncSeconds);
        return new StageLoad(
            stage, busy / seconds, busy / steps, sync / steps, Math.Max(0, seconds - busy - sync) / steps,
            (double)totals.ActivationBytes / tokens, (double)totals.SyncBytes / tokens);
    }
}

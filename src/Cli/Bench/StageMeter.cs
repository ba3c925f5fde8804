using System.Diagnostics.Metrics;
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

using System.Diagnostics.Metrics;
using LlamaCluster.Coordinator.Measuring;

namespace LlamaCluster.Cli.Bench;

/// <summary>Follows a coordinator's own metrics: what it generated, in how many steps, and for how long its stages computed.</summary>
sealed class StageMeter : IDisposable
{
    readonly MeterListener _listener = new();
    readonly Lock _lock = new();
    readonly SortedDictionary<int, double> _busy = [];
    readonly SortedDictionary<int, double> _synchronising = [];
    long _steps;
    long _tokens;

    /// <param name="meters">The coordinator's.</param>
    public StageMeter(IMeterFactory meters)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == CoordinatorMetrics.MeterName && instrument.Meter.Scope == meters) listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Count(instrument.Name, value));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => CountTime(instrument.Name, value, tags));
        _listener.Start();
    }

    /// <summary>All so far.</summary>
    public StageReading Read()
    {
        lock (_lock) return new StageReading(TimeProvider.System.GetTimestamp(), _steps, _tokens, [.. _busy.Values], [.. _busy.Keys.Select(stage => _synchronising.GetValueOrDefault(stage))]);
    }

    public void Dispose() => _listener.Dispose();

    void Count(string instrument, long value)
    {
        lock (_lock)
            switch (instrument)
            {
                case CoordinatorMetrics.Steps: _steps += value; break;
                case CoordinatorMetrics.GeneratedTokens: _tokens += value; break;
            }
    }

    void CountTime(string instrument, double seconds, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var sums = instrument switch
        {
            CoordinatorMetrics.StageBusy => _busy,
            CoordinatorMetrics.TensorSync => _synchronising,
            _ => null,
        };
        if (sums is null) return;
        var (stage, rank) = (0, 0);
        foreach (var (name, value) in tags)
            if (name == CoordinatorMetrics.StageTag) stage = (int)value!;
            else if (name == CoordinatorMetrics.RankTag) rank = (int)value!;
        // The ranks of a stage compute at the same time.
        if (rank > 0) return;
        lock (_lock) sums[stage] = sums.GetValueOrDefault(stage) + seconds;
    }
}

using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using LlamaCluster.Coordinator.Measuring;

namespace LlamaCluster.Chaos.Tests;

/// <summary>The levels of a coordinator's gauges, and the totals of what it counts.</summary>
sealed class KvLevels : IDisposable
{
    readonly MeterListener _listener = new();
    readonly ConcurrentDictionary<string, int> _levels = [];
    readonly ConcurrentDictionary<(string Instrument, string Label), long> _totals = [];

    public KvLevels(IMeterFactory meters)
    {
        _listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Meter.Name == CoordinatorMetrics.MeterName && ReferenceEquals(instrument.Meter.Scope, meters))
                listening.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<int>((instrument, value, _, _) => _levels[instrument.Name] = value);
        _listener.SetMeasurementEventCallback<double>((instrument, value, labels, _) =>
        {
            foreach (var (name, label) in labels) _totals[(instrument.Name, $"{name} {label}")] = (long)value;
        });
        _listener.Start();
    }

    public int this[string instrument]
    {
        get
        {
            _listener.RecordObservableInstruments();
            return _levels.GetValueOrDefault(instrument);
        }
    }

    /// <param name="label">A label that tells this total from others of the instrument: its name, and its value behind a space.</param>
    public long Total(string instrument, string label)
    {
        _listener.RecordObservableInstruments();
        return _totals.GetValueOrDefault((instrument, label));
    }

    public void Dispose() => _listener.Dispose();
}

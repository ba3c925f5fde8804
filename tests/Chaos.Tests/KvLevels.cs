using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using LlamaCluster.Coordinator.Measuring;

namespace LlamaCluster.Chaos.Tests;

/// <summary>The levels of a coordinator's gauges.</summary>
sealed class KvLevels : IDisposable
{
    readonly MeterListener _listener = new();
    readonly ConcurrentDictionary<string, int> _levels = [];

    public KvLevels(IMeterFactory meters)
    {
        _listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Meter.Name == CoordinatorMetrics.MeterName && ReferenceEquals(instrument.Meter.Scope, meters)) listening.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<int>((instrument, value, _, _) => _levels[instrument.Name] = value);
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

    public void Dispose() => _listener.Dispose();
}

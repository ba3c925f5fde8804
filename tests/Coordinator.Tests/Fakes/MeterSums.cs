using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using LlamaCluster.Coordinator.Measuring;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>Adds up what one coordinator's instruments report. Others may run at the same time; this one's meter is known by its factory.</summary>
sealed class MeterSums : IDisposable
{
    readonly MeterListener _listener = new();
    readonly ConcurrentDictionary<string, double> _sums = [];
    readonly HashSet<string> _kept = [];   // instruments that keep their values, and are asked for them

    public MeterSums(TestCluster cluster)
    {
        var factory = cluster.MeterFactory;
        _listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Meter.Name == CoordinatorMetrics.MeterName && ReferenceEquals(instrument.Meter.Scope, factory)) Listen(instrument, listening);
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Add(instrument, value));
        _listener.SetMeasurementEventCallback<int>((instrument, value, _, _) => Add(instrument, value));
        _listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => Add(instrument, value));
        _listener.Start();
    }

    /// <summary>The sum so far of a histogram's values, or of a counter since its coordinator's start.</summary>
    public double this[string instrument] => _kept.Contains(instrument) ? Level(instrument) : _sums.GetValueOrDefault(instrument);

    /// <summary>A level, as it is now.</summary>
    public double Level(string instrument)
    {
        lock (_kept)
        {
            foreach (var kept in _kept) _sums[kept] = 0;
            _listener.RecordObservableInstruments();
            return _sums[instrument];
        }
    }

    public void Dispose() => _listener.Dispose();

    void Listen(Instrument instrument, MeterListener listening)
    {
        if (instrument.IsObservable) _kept.Add(instrument.Name);
        listening.EnableMeasurementEvents(instrument);
    }

    void Add(Instrument instrument, double value) => _sums.AddOrUpdate(instrument.Name, value, (_, sum) => sum + value);
}

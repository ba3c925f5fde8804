using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace LlamaCluster.Cluster.Telemetry;

/// <summary>
/// A counter that keeps its totals itself, whoever listens since when. So it counts from the process's start, although the exporter begins
/// later, and is exported as 0 before anything happened: a rate needs a first value. Safe for concurrent use.
/// </summary>
public sealed class TotalCounter
{
    readonly ConcurrentDictionary<string, Total> _totals = [];   // by the values of the labels
    readonly double _scale;

    /// <param name="scale">What is exported is the total times this: 1e-6 where microseconds are added and seconds exported.</param>
    public TotalCounter(Meter meter, MetricDefinition metric, double scale = 1)
    {
        _scale = scale;
        meter.ReadCounter(metric, () => _totals.Values.Select(total => new Measurement<double>(total.Value * _scale, total.Labels)));
    }

    /// <summary>The total with these labels, from 0. Asked for once and kept where something is counted often.</summary>
    public Total Of(params KeyValuePair<string, object?>[] labels) =>
        _totals.GetOrAdd(string.Join('\n', labels.Select(label => label.Value)), static (_, labels) => new Total(labels), labels);
}

/// <summary>One series of a <see cref="TotalCounter"/>.</summary>
public sealed class Total(KeyValuePair<string, object?>[] labels)
{
    long _value;

    public KeyValuePair<string, object?>[] Labels => labels;

    public long Value => Interlocked.Read(ref _value);

    public void Add(long more) => Interlocked.Add(ref _value, more);
}

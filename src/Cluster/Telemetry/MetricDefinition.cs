using System.Diagnostics.Metrics;

namespace LlamaCluster.Cluster.Telemetry;

public enum MetricKind
{
    /// <summary>Counts up for as long as the process lives.</summary>
    Counter,

    /// <summary>A level, read when somebody looks.</summary>
    Gauge,

    /// <summary>How many measurements were at most so large, for each of a few boundaries; and their count and sum.</summary>
    Histogram,
}

/// <summary>
/// One row of a table of metrics. The instrument, the way it is exported and its line in docs/metrics.md are all made of this, so that they
/// cannot differ.
/// </summary>
/// <param name="Name">OpenTelemetry's: words joined by dots. Two names of a table differ in more than '.' and '_', which are one to Prometheus.</param>
/// <param name="Unit">As OpenTelemetry writes it: "s", "By", "By/s", "{token}", "1" for a fraction; "" for facts.</param>
/// <param name="Meaning">What it counts, in a sentence.</param>
/// <param name="Labels">Names of all labels. Each has few values: no label has a client's words.</param>
public sealed record MetricDefinition(string Name, MetricKind Kind, string Unit, string Meaning, params string[] Labels)
{
    /// <summary>
    /// The most series. The exporter has room for them from the start, some 100 bytes each, and exports what would be more as one. Default 64.
    /// </summary>
    public int MostSeries { get; init; } = 64;

    /// <summary>Upper bounds of a histogram's buckets, in its unit, rising; empty for others.</summary>
    public IReadOnlyList<double> Boundaries { get; init; } = [];

    /// <summary>The name under which vLLM exports the same, without unit and <c>_total</c>; null: vLLM has no such metric.</summary>
    public string? Vllm { get; init; }

    /// <summary>It is exported under vLLM's name only, for programs that look for it.</summary>
    public bool IsVllmOnly { get; init; }

    /// <summary>The name in Prometheus; without <c>_bucket</c>, <c>_sum</c> and <c>_count</c> for a histogram.</summary>
    public string PrometheusName => ToPrometheus(Name);

    /// <summary>The second name in Prometheus; null: none.</summary>
    public string? PrometheusVllmName => Vllm is null ? null : ToPrometheus(Vllm);

    /// <summary>As the exporter translates names: letters and digits stay, the unit is spelt out at the end, counters end with _total.</summary>
    string ToPrometheus(string name)
    {
        var plain = string.Concat(name.Select(letter => char.IsAsciiLetterOrDigit(letter) || letter == ':' ? letter : '_'));
        var unit = Unit switch
        {
            "s" => "seconds",
            "By" => "bytes",
            "By/s" => "bytes_per_second",
            ['{', .., '/', 's'] => "per_second",
            _ => "",
        };
        if (unit.Length > 0 && !plain.EndsWith(unit, StringComparison.Ordinal)) plain += $"_{unit}";
        return Kind == MetricKind.Counter && !plain.EndsWith("_total", StringComparison.Ordinal) ? $"{plain}_total" : plain;
    }
}

/// <summary>Bucket boundaries that fit processors: one token of a small model takes a millisecond, a long prompt of a huge one half an hour.</summary>
public static class MetricBoundaries
{
    /// <summary>Seconds that a client waits: 1 ms to 40 min.</summary>
    public static IReadOnlyList<double> Waits { get; } =
        [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 150, 300, 600, 1200, 2400];

    /// <summary>Seconds of one step, or of a part of it. Fewer, because every rank of every stage has its own series.</summary>
    public static IReadOnlyList<double> Steps { get; } = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 120];

    /// <summary>Tokens of a prompt or an answer.</summary>
    public static IReadOnlyList<double> Lengths { get; } = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 131_072];

    /// <summary>Token positions of one step.</summary>
    public static IReadOnlyList<double> Rows { get; } = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
}

/// <summary>How many series metrics may have that count more than a handful of things.</summary>
public static class SeriesLimits
{
    /// <summary>One for each worker of the largest plan, and as many for workers that were there before.</summary>
    public const int Workers = 2048;

    /// <summary>Methods, addresses and statuses.</summary>
    public const int Requests = 512;
}

/// <summary>Makes instruments of table rows.</summary>
public static class MetricInstruments
{
    public static Counter<T> Counter<T>(this Meter meter, MetricDefinition metric) where T : struct =>
        meter.CreateCounter<T>(metric.Checked(MetricKind.Counter).Name, UnitOf(metric), metric.Meaning);

    /// <summary>The boundaries are an advice to whoever listens; views give the exporter the same.</summary>
    public static Histogram<T> Histogram<T>(this Meter meter, MetricDefinition metric) where T : struct =>
        meter.CreateHistogram<T>(metric.Checked(MetricKind.Histogram).Name, UnitOf(metric), metric.Meaning);

    /// <param name="read">Called when somebody looks, from any thread.</param>
    public static void Gauge<T>(this Meter meter, MetricDefinition metric, Func<IEnumerable<Measurement<T>>> read) where T : struct =>
        meter.CreateObservableGauge(metric.Checked(MetricKind.Gauge).Name, read, UnitOf(metric), metric.Meaning);

    /// <summary>A counter whose value is kept elsewhere.</summary>
    /// <param name="read">Called when somebody looks, from any thread. Values never fall.</param>
    public static void ReadCounter<T>(this Meter meter, MetricDefinition metric, Func<IEnumerable<Measurement<T>>> read) where T : struct =>
        meter.CreateObservableCounter(metric.Checked(MetricKind.Counter).Name, read, UnitOf(metric), metric.Meaning);

    static MetricDefinition Checked(this MetricDefinition metric, MetricKind kind) =>
        metric.Kind == kind ? metric : throw new InvalidOperationException($"{metric.Name} is a {metric.Kind}, not a {kind}");

    static string? UnitOf(MetricDefinition metric) => metric.Unit.Length == 0 ? null : metric.Unit;
}

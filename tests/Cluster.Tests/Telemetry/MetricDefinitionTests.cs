using System.Diagnostics.Metrics;
using LlamaCluster.Cluster.Telemetry;

namespace LlamaCluster.Cluster.Tests.Telemetry;

public sealed class MetricDefinitionTests
{
    [Theory]
    [InlineData("llamacluster.steps", MetricKind.Counter, "{step}", "llamacluster_steps_total")]
    [InlineData("llamacluster.stage.busy", MetricKind.Counter, "s", "llamacluster_stage_busy_seconds_total")]
    [InlineData("llamacluster.worker.memory", MetricKind.Gauge, "By", "llamacluster_worker_memory_bytes")]
    [InlineData("llamacluster.link.rate", MetricKind.Gauge, "By/s", "llamacluster_link_rate_bytes_per_second")]
    [InlineData("llamacluster.worker.rate", MetricKind.Gauge, "{multiply_add}/s", "llamacluster_worker_rate_per_second")]
    [InlineData("llamacluster.kv.usage", MetricKind.Gauge, "1", "llamacluster_kv_usage")]
    [InlineData("llamacluster.wait", MetricKind.Histogram, "s", "llamacluster_wait_seconds")]
    [InlineData("vllm:prompt_tokens", MetricKind.Counter, "{token}", "vllm:prompt_tokens_total")]
    public void Names_are_translated_as_the_exporter_does(string name, MetricKind kind, string unit, string expected)
        => Assert.Equal(expected, new MetricDefinition(name, kind, unit, "").PrometheusName);

    [Fact]
    public void An_instrument_of_another_kind_than_the_row_is_refused()
    {
        using var meter = new Meter("test");
        var row = new MetricDefinition("a.level", MetricKind.Gauge, "s", "A level.");
        Assert.Equal("a.level is a Gauge, not a Histogram", Assert.Throws<InvalidOperationException>(() => meter.Histogram<double>(row)).Message);
    }

    [Fact]
    public void Totals_count_whoever_listens_since_when()
    {
        using var meter = new Meter("test");
        var counter = new TotalCounter(meter, new MetricDefinition("a.busy", MetricKind.Counter, "s", "Busy.", "stage"), scale: 1e-6);
        var (first, second) = (counter.Of(new KeyValuePair<string, object?>("stage", 0)), counter.Of(new KeyValuePair<string, object?>("stage", 1)));
        first.Add(2_500_000);
        Assert.Same(first, counter.Of(new KeyValuePair<string, object?>("stage", 0)));

        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (instrument.Meter == meter) listening.EnableMeasurementEvents(instrument);
        };
        Dictionary<object, double> seen = [];
        listener.SetMeasurementEventCallback<double>((_, value, labels, _) => seen[labels[0].Value!] = value);
        listener.Start();
        listener.RecordObservableInstruments();
        Assert.Equal(new Dictionary<object, double> { [0] = 2.5, [1] = 0 }, seen);
        second.Add(1);
    }
}

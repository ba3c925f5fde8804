using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Tests.Fakes;

namespace LlamaCluster.Coordinator.Tests.Measuring;

public sealed class CoordinatorMetricsTests
{
    [Fact]
    public async Task What_happened_is_what_is_counted()
    {
        await using var cluster = await TestCluster.StartReadyAsync(2);
        using var listener = new MeterListener();
        ConcurrentDictionary<string, double> sums = [];
        void Add(Instrument instrument, double value) => sums.AddOrUpdate(instrument.Name, value, (_, sum) => sum + value);
        listener.InstrumentPublished = (instrument, listening) =>
        {
            // Other tests run coordinators of their own at the same time; this one's meter is known by its factory.
            if (instrument.Meter.Name == CoordinatorMetrics.MeterName && ReferenceEquals(instrument.Meter.Scope, cluster.MeterFactory)) listening.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, _, _) => Add(instrument, value));
        listener.SetMeasurementEventCallback<int>((instrument, value, _, _) => Add(instrument, value));
        listener.SetMeasurementEventCallback<double>((instrument, value, _, _) => Add(instrument, value));
        listener.Start();

        for (var i = 0; i < 2; i++) await cluster.TokensAsync(TestCluster.Request([5, 6, 7], 10));
        listener.RecordObservableInstruments();

        Assert.Equal(20, sums["llamacluster.steps"]);
        Assert.Equal(12 + 10, sums["llamacluster.step.rows"]);
        Assert.Equal(20, sums["llamacluster.tokens.generated"]);
        Assert.Equal(2, sums["llamacluster.sequences"]);
        Assert.Equal(6, sums["llamacluster.prefix_cache.queries"]);
        Assert.Equal(2, sums["llamacluster.prefix_cache.hits"]);
        Assert.Equal(0, sums["llamacluster.queue.length"]);
        Assert.Equal((1, 2047), (sums["llamacluster.kv.blocks.cached"], sums["llamacluster.kv.blocks.free"] + sums["llamacluster.kv.blocks.used"]));
        Assert.True(sums["llamacluster.stage.compute.duration"] > 0);
    }
}

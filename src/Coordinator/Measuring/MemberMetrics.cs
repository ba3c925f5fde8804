using System.Diagnostics.Metrics;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>Gauges of what the present workers have measured about their machines, one value per worker.</summary>
public sealed class MemberMetrics : IDisposable
{
    readonly Meter _meter;

    public MemberMetrics(IMeterFactory meters, WorkerRegistry registry, CoordinatorOptions options)
    {
        _meter = meters.Create(CoordinatorMetrics.MeterName);
        Observe("llamacluster.worker.memory_read.rate", "By/s", "Plain reads of memory by a worker's threads.", capabilities => capabilities.MemoryReadBytesPerSecond);
        Observe("llamacluster.worker.multiply_add.rate", "{multiply_add}/s", "Products of many rows with Q4_0 weights by a worker's threads.", capabilities => capabilities.MultiplyAddsPerSecond);
        Observe("llamacluster.worker.memory", "By", "What a worker may use for weights, KV cache and buffers.", capabilities => capabilities.MemoryBytes);
        _meter.CreateObservableGauge("llamacluster.workers", () => CountsOf(registry.Snapshot.Count(options.Workers)), "{worker}", "Workers by state: wanted, serving, spare, suspected, set_aside.");

        void Observe(string name, string unit, string description, Func<MachineFacts, double> value)
            => _meter.CreateObservableGauge(name, () => ValuesOf(registry.Snapshot, value), unit, description);
    }

    public void Dispose() => _meter.Dispose();

    static IEnumerable<Measurement<int>> CountsOf(WorkerCounts counts) =>
    [
        Of("wanted", counts.Wanted), Of("serving", counts.Serving), Of("spare", counts.Spare), Of("suspected", counts.Suspected), Of("set_aside", counts.SetAside),
    ];

    static Measurement<int> Of(string state, int count) => new(count, new KeyValuePair<string, object?>("state", state));

    /// <summary>A worker that is lost, or has not measured this, has no value.</summary>
    static IEnumerable<Measurement<double>> ValuesOf(MembershipSnapshot snapshot, Func<MachineFacts, double> value) =>
        from member in snapshot.Members
        where !member.IsLost && value(member.Capabilities.Machine) > 0
        select new Measurement<double>(value(member.Capabilities.Machine), new KeyValuePair<string, object?>("worker", member.Id.Value));
}

using System.Diagnostics.Metrics;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Coordinator.Measuring;

/// <summary>Who is in the cluster, and what the present workers have measured about their machines.</summary>
public sealed class MemberMetrics : IDisposable
{
    readonly Meter _meter;
    readonly WorkerRegistry _registry;

    public MemberMetrics(IMeterFactory meters, WorkerRegistry registry, CoordinatorOptions options)
    {
        (_meter, _registry) = (meters.Create(CoordinatorMetrics.MeterName), registry);
        Observe(CoordinatorMetricTable.WorkerReadRate, machine => machine.MemoryReadBytesPerSecond);
        Observe(CoordinatorMetricTable.WorkerMultiplyRate, machine => machine.MultiplyAddsPerSecond);
        Observe(CoordinatorMetricTable.WorkerMemory, machine => machine.MemoryBytes);
        _meter.Gauge<long>(CoordinatorMetricTable.ViewVersion, () => [new Measurement<long>((long)_registry.Snapshot.ViewVersion)]);
        _meter.Gauge(CoordinatorMetricTable.Workers, () => CountsOf(registry.Snapshot, options.Workers));
        _meter.ReadCounter<long>(CoordinatorMetricTable.WorkersLost, () => [new Measurement<long>(_registry.LostInAll)]);

        void Observe(MetricDefinition metric, Func<MachineFacts, double> value) => _meter.Gauge(metric, () => ValuesOf(value));
    }

    public void Dispose() => _meter.Dispose();

    /// <summary>Every state has a value, also where nobody is in it.</summary>
    static IEnumerable<Measurement<int>> CountsOf(MembershipSnapshot now, int wanted)
    {
        var counts = now.Count(wanted);
        return
        [
            Of("wanted", counts.Wanted), Of("serving", counts.Serving), Of("spare", counts.Spare), Of("suspected", counts.Suspected),
            Of("set_aside", counts.SetAside), Of("unreachable", now.Unreachable.Length),
        ];

        static Measurement<int> Of(string state, int workers) => new(workers, new KeyValuePair<string, object?>("state", state));
    }

    /// <summary>A worker that is lost, or has not measured this, has no value.</summary>
    IEnumerable<Measurement<double>> ValuesOf(Func<MachineFacts, double> value)
    {
        var now = _registry.Snapshot;
        var names = new WorkerNames(now);
        return from member in now.Members
               let measured = value(member.Capabilities.Machine)
               where !member.IsLost && measured > 0
               select new Measurement<double>(measured, new KeyValuePair<string, object?>(CoordinatorMetricTable.Worker, names.Of(member)));
    }
}

/// <summary>
/// What workers are called in metrics: their names, which stay when one starts again. A name that several have at a time is followed by the id.
/// </summary>
sealed class WorkerNames(MembershipSnapshot snapshot)
{
    readonly HashSet<string> _shared =
        [.. snapshot.Members.Where(member => !member.IsLost).GroupBy(member => member.Name).Where(named => named.Count() > 1).Select(named => named.Key)];

    public string Of(Member member) => _shared.Contains(member.Name) ? $"{member.Name} ({member.Id})" : member.Name;
}

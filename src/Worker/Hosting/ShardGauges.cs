using System.Diagnostics.Metrics;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Measuring;

namespace LlamaCluster.Worker.Hosting;

/// <summary>What the worker holds and how far it is, read when somebody looks.</summary>
sealed class ShardGauges : IDisposable
{
    static readonly (string Name, WorkerState State)[] States =
        [("idle", WorkerState.Idle), ("loading", WorkerState.Loading), ("ready", WorkerState.Ready), ("draining", WorkerState.Draining)];

    readonly Meter _meter;
    readonly ShardKeeper _shards;

    public ShardGauges(IMeterFactory meters, ShardKeeper shards, WorkerMemory memory, ActivationJournal journal)
    {
        (_meter, _shards) = (meters.Create(WorkerMetrics.MeterName), shards);
        _meter.Gauge<long>(WorkerMetricTable.Resident, () => [new Measurement<long>(_shards.Status.ResidentBytes)]);
        _meter.Gauge<long>(WorkerMetricTable.KvSize, () => [new Measurement<long>(_shards.Current is { } held ? held.KvBlockCount * held.KvBlockBytes : 0)]);
        _meter.Gauge<long>(WorkerMetricTable.Memory, () => [new Measurement<long>(memory.Bytes)]);
        _meter.Gauge<long>(WorkerMetricTable.JournalPositions, () => [new Measurement<long>(journal.Positions)]);
        _meter.Gauge(WorkerMetricTable.State, ReadStates);
        _meter.Gauge(WorkerMetricTable.Info, ReadInfo);
    }

    public void Dispose() => _meter.Dispose();

    IEnumerable<Measurement<int>> ReadStates()
    {
        var now = _shards.Status.State;
        return States.Select(state => new Measurement<int>(state.State == now ? 1 : 0, new KeyValuePair<string, object?>("state", state.Name)));
    }

    IEnumerable<Measurement<int>> ReadInfo()
    {
        if (_shards.Current?.Order is not { } order) return [];
        var (layers, slice) = order.Assignment.Shard;
        return
        [
            new Measurement<int>(1,
            [
                new("model_name", order.Plan.ModelName), new("stage", order.Assignment.Stage), new("rank", slice.Rank), new("ranks", slice.RankCount),
                new("first_layer", layers.First), new("layers", layers.Count),
            ]),
        ];
    }
}

using System.Diagnostics.Metrics;
using System.Globalization;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Telemetry;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Hosting;

/// <summary>Levels and facts of the cluster as a whole: what is served, how far it is, and which worker does what. Read when somebody looks.</summary>
sealed class ClusterMetrics : IDisposable
{
    static readonly Measurement<int>[] None = [];

    readonly Meter _meter;
    readonly CoordinatorMetrics _metrics;
    readonly Replica _replica;
    readonly Latest<ClusterStatus> _status;
    readonly EngineOptions _engine;

    public ClusterMetrics(
        IMeterFactory meters, CoordinatorMetrics metrics, Replica replica, Latest<ClusterStatus> status, LinkMeter links, ServedModel model,
        EngineOptions engine, TimeProvider time)
    {
        (_meter, _metrics, _replica, _status, _engine) = (meters.Create(CoordinatorMetrics.MeterName), metrics, replica, status, engine);
        KeyValuePair<string, object?>[] served =
        [
            new(CoordinatorMetricTable.Model, model.Name), new("digest", model.Digest),
            new("context_length", model.ContextLength.ToString(CultureInfo.InvariantCulture)),
        ];
        _meter.Gauge<int>(CoordinatorMetricTable.ModelInfo, () => [new Measurement<int>(1, served)]);
        _meter.Gauge<int>(CoordinatorMetricTable.Ready, () => [Of(_replica.Status.Ready ? 1 : 0)]);
        _meter.Gauge(CoordinatorMetricTable.CacheConfig, CacheConfig);
        _meter.Gauge(CoordinatorMetricTable.Adapters, () => AdaptersOf(model.Adapters, time));
        _meter.Gauge(CoordinatorMetricTable.PredictedTokenTime, PredictedTokenTime);
        _meter.Gauge(CoordinatorMetricTable.StageInfo, () => _status.Value.Shards.Select(StageOf));
        _meter.Gauge(CoordinatorMetricTable.WorkerLoaded, () => _status.Value.Shards.Select(shard => OfWorker(shard, shard.BytesDone)));
        _meter.Gauge(CoordinatorMetricTable.WorkerToLoad, () => _status.Value.Shards.Select(shard => OfWorker(shard, shard.BytesTotal)));
        _meter.Gauge(CoordinatorMetricTable.LinkRoundTrip, () => links.Known.Select(way => OfLink(way, way.Link.RoundTripSeconds)));
        _meter.Gauge(CoordinatorMetricTable.LinkRate, () => links.Known.Select(way => OfLink(way, way.Link.BytesPerSecond)));
    }

    public void Dispose() => _meter.Dispose();

    Measurement<T> Of<T>(T value) where T : struct => new(value, _metrics.LabelsOf(_replica.Name));

    IEnumerable<Measurement<double>> PredictedTokenTime() =>
        _status.Value.Plan is { } plan ? [Of(plan.Pipeline.Prediction.OneToken.Total)] : [];

    IEnumerable<Measurement<int>> CacheConfig() => _replica.Status.MaxPositions is { } positions
        ?
        [
            new Measurement<int>(1,
            [
                .. _metrics.LabelsOf(_replica.Name),
                new("block_size", KvBlock.Positions), new("num_gpu_blocks", positions / KvBlock.Positions),
                new("cache_dtype", KvTypeMapping.NameOf(_engine.KvType)), new("enable_prefix_caching", _engine.CachePrefixes ? "True" : "False"),
            ]),
        ]
        : None;

    IEnumerable<Measurement<double>> AdaptersOf(AdapterRegistry adapters, TimeProvider time)
    {
        if (adapters.MaxRank == 0) return [];
        var (running, waiting) = adapters.InUse();
        return
        [
            new Measurement<double>(time.GetUtcNow().ToUnixTimeMilliseconds() / 1e3,
            [
                .. _metrics.LabelsOf(_replica.Name), new("max_lora", adapters.MaxAdapters.ToString(CultureInfo.InvariantCulture)),
                new("running_lora_adapters", string.Join(',', running)), new("waiting_lora_adapters", string.Join(',', waiting)),
            ]),
        ];
    }

    Measurement<int> StageOf(ShardProgress shard) => new(1,
    [
        new(CoordinatorMetricTable.Replica, _replica.Name), new(CoordinatorMetricTable.Stage, shard.Stage),
        new(CoordinatorMetricTable.Rank, shard.Shard.Slice.Rank), new(CoordinatorMetricTable.Worker, shard.WorkerName),
        new("first_layer", shard.Shard.Layers.First), new("layers", shard.Shard.Layers.Count),
    ]);

    static Measurement<long> OfWorker(ShardProgress shard, long value) =>
        new(value, new KeyValuePair<string, object?>(CoordinatorMetricTable.Worker, shard.WorkerName));

    static Measurement<double> OfLink(MeasuredWay way, double value) => new(value, new("from", way.From), new("to", way.To));
}

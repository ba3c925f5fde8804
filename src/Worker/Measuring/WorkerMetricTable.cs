using LlamaCluster.Cluster.Telemetry;
using static LlamaCluster.Cluster.Telemetry.MetricKind;

namespace LlamaCluster.Worker.Measuring;

/// <summary>
/// All metrics of a worker. They are about its shard, and have other names than what the coordinator exports about workers and stages, so that
/// nothing is counted twice where both are scraped.
/// </summary>
public static class WorkerMetricTable
{
    public static readonly MetricDefinition Steps = new("llamacluster.shard.steps", Counter, "{step}", "Steps that the worker ran.");
    public static readonly MetricDefinition Rows = new("llamacluster.shard.rows", Counter, "{token}", "Token positions of these steps.");
    public static readonly MetricDefinition Failures = new(
        "llamacluster.shard.steps.failed", Counter, "{step}",
        "Steps that failed, by reason: stale_view, bad_step, peer_lost or internal. All but stale_view end the view.", "reason");
    public static readonly MetricDefinition Compute = Part("llamacluster.shard.compute.duration", "Computing one step, without exchanges.");
    public static readonly MetricDefinition Wait = Part("llamacluster.shard.wait.duration", "Waiting for the activations of one step.");
    public static readonly MetricDefinition Sync = Part("llamacluster.shard.tensor_sync.duration", "Exchanges with the other ranks of the stage in one step.");
    public static readonly MetricDefinition Send = Part(
        "llamacluster.shard.send.duration", "Handing one step's output to the streams to the next stage. Long: the next stage, or the way to it, is slower.");
    public static readonly MetricDefinition ActivationsSent = new(
        "llamacluster.shard.activations.sent", Counter, "By", "Activations given to the streams to the next stage.");
    public static readonly MetricDefinition SyncSent = new(
        "llamacluster.shard.tensor_sync.sent", Counter, "By", "What was sent to the other ranks of the stage.");
    public static readonly MetricDefinition JournalWritten = new(
        "llamacluster.shard.journal.written", Counter, "By", "Activations written to the journal (--activation-journal).");
    public static readonly MetricDefinition JournalPositions = new(
        "llamacluster.shard.journal.positions", Gauge, "{token}",
        "KV positions whose activations the journal holds, for the case that the next stage is lost.");
    public static readonly MetricDefinition WeightsObtained = new(
        "llamacluster.shard.weights.obtained", Counter, "By",
        "Parts of weights that came, or were found, whole, by source: peer (another worker), hub, coordinator or cache. The model's own file is not counted.",
        "source");
    public static readonly MetricDefinition WeightsGiven = new(
        "llamacluster.shard.weights.given", Counter, "By", "Weights that were given to other workers (--weights-from peer).");
    public static readonly MetricDefinition Resident = new(
        "llamacluster.shard.resident", Gauge, "By", "Weights, KV cache and buffers that the worker holds; while it loads, the weights so far.");
    public static readonly MetricDefinition KvSize = new("llamacluster.shard.kv.size", Gauge, "By", "The KV cache of the shard.");
    public static readonly MetricDefinition Memory = new(
        "llamacluster.shard.memory.limit", Gauge, "By", "What the worker may use for weights, KV cache and buffers.");
    public static readonly MetricDefinition State = new(
        "llamacluster.shard.state", Gauge, "", "1 for the state that the worker is in, 0 for others: idle, loading, ready or draining.", "state");
    public static readonly MetricDefinition Info = new(
        "llamacluster.shard.info", Gauge, "", "1; the labels say what the worker holds, once it has loaded.",
        "model_name", "stage", "rank", "ranks", "first_layer", "layers");

    /// <summary>In the order of the reference.</summary>
    public static IReadOnlyList<MetricDefinition> All { get; } =
    [
        Steps, Rows, Failures, Compute, Wait, Sync, Send, ActivationsSent, SyncSent, JournalWritten, JournalPositions, WeightsObtained, WeightsGiven, Resident,
        KvSize, Memory, State, Info,
    ];

    static MetricDefinition Part(string name, string meaning) => new(name, Histogram, "s", meaning) { Boundaries = MetricBoundaries.Steps };
}

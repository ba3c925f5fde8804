using System.Globalization;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Weights;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;

namespace LlamaCluster.Cli.Bench;

/// <summary>The part of a report about one stage of a cluster.</summary>
/// <param name="Threads">All ranks together.</param>
/// <param name="MemoryBytesPerSecond">Plain reads of memory by as many threads.</param>
sealed record StageFigures(StageFacts Facts, StageLoad Load, int Threads, double MemoryBytesPerSecond)
{
    /// <summary>The stage's time for a step: computing, and exchanging sums between its ranks.</summary>
    double StepSeconds => Load.ComputeSeconds + Load.SyncSeconds;

    /// <summary>A layer's part of a step, in proportion to its bytes. The output head takes part of the step too and is not a layer.</summary>
    public double SecondsPerLayer => StepSeconds * Facts.LayerBytes / Facts.WeightBytes;

    public double WeightBytesPerSecond => Facts.WeightBytes / StepSeconds;

    public double FractionOfMemory => WeightBytesPerSecond / MemoryBytesPerSecond;

    /// <summary>The size of a token in the KV pools of all ranks together.</summary>
    public double KvBytesPerToken => (double)Facts.KvBlockBytes / KvBlock.Positions;

    public JsonNode Json() => new JsonObject
    {
        ["stage"] = Load.Stage,
        ["first_layer"] = Facts.Layers.First,
        ["layers"] = Facts.Layers.Count,
        ["ranks"] = Facts.Ranks,
        ["experts"] = Facts.Experts,
        ["busy_fraction"] = Load.BusyFraction,
        ["compute_seconds_per_step"] = Load.ComputeSeconds,
        ["tensor_sync_seconds_per_step"] = Load.SyncSeconds,
        ["pause_seconds_per_step"] = Load.PauseSeconds,
        ["seconds_per_layer"] = SecondsPerLayer,
        ["weight_bytes_per_step"] = Facts.WeightBytes,
        ["weight_bytes_per_second"] = WeightBytesPerSecond,
        ["memory_read_bytes_per_second"] = MemoryBytesPerSecond,
        ["fraction_of_memory_bandwidth"] = FractionOfMemory,
        ["activation_bytes_per_token"] = Load.ActivationBytes,
        ["tensor_sync_bytes_per_token"] = Load.SyncBytes,
        ["kv_bytes_per_token"] = KvBytesPerToken,
    };

    public IEnumerable<string> Lines() =>
    [
        Line($"stage {Load.Stage,-6} {Facts.Layers}{Ranks}: busy {Load.BusyFraction:P1},")
            + Line($" a step takes {Load.ComputeSeconds * 1e3:F2} ms{Sync}, the pause after it {Load.PauseSeconds * 1e3:F2} ms"),
        Line($"  {SecondsPerLayer * 1e3:F2} ms a layer, {WeightBytesPerSecond / 1e9:F2} GB/s of weights, {FractionOfMemory:P0} of the")
            + Line($" {MemoryBytesPerSecond / 1e9:F2} GB/s of plain reads by {Threads} {(Threads == 1 ? "thread" : "threads")}"),
        Line($"  a token: {Load.ActivationBytes:F0} bytes to the next stage, {Load.SyncBytes:F0} bytes from a rank to the others,")
            + Line($" {KvBytesPerToken:F0} bytes of KV cache"),
    ];

    string Ranks => Facts.Ranks == 1 ? "" : $" on {Facts.Ranks} ranks{(Facts.Experts is { } experts ? $" (experts: {experts})" : "")}";

    string Sync => Load.SyncSeconds > 0 ? Line($" and {Load.SyncSeconds * 1e3:F2} ms of exchanges between its ranks") : "";

    static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The layers, ranks and sizes of a stage.</summary>
/// <param name="WeightBytes">Stored bytes of the weights that a step reads, all ranks together.</param>
/// <param name="LayerBytes">The mean of these bytes per layer.</param>
/// <param name="KvBlockBytes">The size of one KV block in all layers of the stage, as its ranks report it, all ranks together.</param>
sealed record StageFacts(LayerRange Layers, int Ranks, long WeightBytes, double LayerBytes, long KvBlockBytes)
{
    /// <summary>What ranks have of experts (<see cref="RankShares.ExpertsWord"/>); null if the model has none.</summary>
    public string? Experts { get; init; }

    /// <summary>The stages in order.</summary>
    /// <param name="shards">All shards of a view that is ready.</param>
    /// <param name="streams">Streams of which the steps under way, one for each stage, have one row each.</param>
    public static IReadOnlyList<StageFacts> Of(IEnumerable<ShardProgress> shards, IModelWeights weights, int streams = 1)
    {
        var stages = shards.GroupBy(shard => shard.Stage).OrderBy(stage => stage.Key).ToList();
        return [.. stages.Select(stage => Of([.. stage], weights, BenchWeightBytes.RowsOfStep(streams, stages.Count)))];
    }

    static StageFacts Of(IReadOnlyList<ShardProgress> ranks, IModelWeights weights, double rows)
    {
        var layers = ranks[0].Shard.Layers;
        var shape = new StageShape(layers.First, layers.Count, weights.Config.LayerCount);
        return new StageFacts(
            layers, ranks.Count, BenchWeightBytes.PerStep(weights, shape, rows), (double)BenchWeightBytes.OfLayers(weights, shape, rows) / layers.Count,
            ranks.Sum(rank => rank.KvBlockBytes))
        {
            Experts = weights.Config.Experts is null ? null : ranks[0].Shard.Slice.Shares.ExpertsWord,
        };
    }
}

/// <summary>The stored bytes of weights that a benchmark loads, and that it reads for a step.</summary>
static class BenchWeightBytes
{
    /// <summary>Held in memory by one process that runs all layers.</summary>
    public static long Loaded(IModelWeights weights) =>
        ShardParts.Held(weights, Whole(weights), StageSlice.Whole(weights.Config)).Of(weights.Tensors).Sum(part => part.Bytes);

    /// <summary>Rows of a decoding step, where each stage has one step under way.</summary>
    public static double RowsOfStep(int streams, int stages) => Math.Max(1, (double)streams / stages);

    /// <summary>Read for a step by all stages together.</summary>
    /// <param name="rows">Rows of the step. Only of experts it matters: those that none of them uses are not read.</param>
    public static long PerStep(IModelWeights weights, double rows = 1) => PerStep(weights, Whole(weights), rows);

    /// <summary>Read for a step by a stage. An embedding that is not the head too does not count: a step reads one row of it per token.</summary>
    /// <inheritdoc cref="PerStep(IModelWeights, double)"/>
    public static long PerStep(IModelWeights weights, StageShape shape, double rows) => BytesRead(
        weights.Config, rows,
        TensorsOf(weights, shape).Where(tensor => tensor.Name != LlamaTensors.Embedding || (weights.Config.TiedEmbeddings && shape.HasHead)));

    /// <summary>The bytes that a step reads of the stage's layers, without embedding and head.</summary>
    public static long OfLayers(IModelWeights weights, StageShape shape, double rows = 1) => BytesRead(
        weights.Config, rows, Enumerable.Range(shape.FirstLayer, shape.LayerCount)
            .SelectMany(layer => LlamaTensors.OfLayer(weights.Config, layer)).Select(tensor => weights.Find(tensor.Name)!));

    static long BytesRead(LlamaConfig config, double rows, IEnumerable<TensorInfo> tensors)
    {
        var used = config.Experts is { } experts ? ExpertUse.ShareUsed(experts.Count, experts.UsedCount, rows) : 1;
        return tensors.Sum(tensor => ExpertTensors.StackOf(tensor.Name) is null ? tensor.Bytes : (long)(tensor.Bytes * used));
    }

    static StageShape Whole(IModelWeights weights) => StageShape.Whole(weights.Config.LayerCount);

    static IReadOnlyList<TensorInfo> TensorsOf(IModelWeights weights, StageShape shape) => ShardWeights.TensorsOf(weights.Tensors, shape, weights.Config);
}

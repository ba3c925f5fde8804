using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LlamaCluster.Cli.Bench;

/// <summary>What a report on a cluster has beyond that on one process.</summary>
/// <param name="FirstToken">From sending the request, over the streams.</param>
/// <param name="BetweenTokens">Of all streams.</param>
/// <param name="WorkerPeakBytes">The most memory of each worker at a time.</param>
/// <param name="CoordinatorPeakBytes">Of the process that coordinates and also plays the clients.</param>
sealed record ClusterFigures(
    Percentiles FirstToken, Percentiles BetweenTokens, double StepsPerSecond, IReadOnlyList<StageLoad> Stages, IReadOnlyList<long> WorkerPeakBytes, long CoordinatorPeakBytes)
{
    public long PeakResidentBytes => WorkerPeakBytes.Sum() + CoordinatorPeakBytes;

    public void AddTo(JsonObject json)
    {
        json["time_to_first_token_percentiles_seconds"] = ToJson(FirstToken);
        json["inter_token_latency_percentiles_seconds"] = ToJson(BetweenTokens);
        json["decode_steps_per_second"] = StepsPerSecond;
        json["stages"] = new JsonArray([.. Stages.Select(ToJson)]);
        json["worker_peak_rss_bytes"] = JsonSerializer.SerializeToNode(WorkerPeakBytes);
        json["coordinator_peak_rss_bytes"] = CoordinatorPeakBytes;
    }

    public IEnumerable<string> Lines() =>
    [
        Line($"first token  {Seconds(FirstToken)}"),
        Line($"next token   {Seconds(BetweenTokens)}"),
        .. Stages.Select(stage => Line($"stage {stage.Stage,-6} busy {stage.BusyFraction:P1}: a step takes {stage.ComputeSeconds * 1e3:F2} ms{Sync(stage)}, the pause after it {stage.PauseSeconds * 1e3:F2} ms")),
    ];

    static JsonNode ToJson(Percentiles values) => new JsonObject { ["p50"] = values.P50, ["p90"] = values.P90, ["p99"] = values.P99 };

    static JsonNode ToJson(StageLoad load) => new JsonObject
    {
        ["stage"] = load.Stage,
        ["busy_fraction"] = load.BusyFraction,
        ["compute_seconds_per_step"] = load.ComputeSeconds,
        ["tensor_sync_seconds_per_step"] = load.SyncSeconds,
        ["pause_seconds_per_step"] = load.PauseSeconds,
    };

    static string Sync(StageLoad stage) => stage.SyncSeconds > 0 ? Line($" and {stage.SyncSeconds * 1e3:F2} ms of exchanges between its ranks") : "";

    static string Seconds(Percentiles values) => Line($"p50 {values.P50:F4} s, p90 {values.P90:F4} s, p99 {values.P99:F4} s");

    static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

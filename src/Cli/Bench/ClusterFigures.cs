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
    Percentiles FirstToken, Percentiles BetweenTokens, double StepsPerSecond, IReadOnlyList<StageFigures> Stages, PredictionCheck Prediction,
    IReadOnlyList<long> WorkerPeakBytes, long CoordinatorPeakBytes)
{
    public long PeakResidentBytes => WorkerPeakBytes.Sum() + CoordinatorPeakBytes;

    /// <summary>What a token takes in the KV pools of all workers together.</summary>
    double KvBytesPerToken => Stages.Sum(stage => stage.KvBytesPerToken);

    public void AddTo(JsonObject json)
    {
        json["time_to_first_token_percentiles_seconds"] = ToJson(FirstToken);
        json["inter_token_latency_percentiles_seconds"] = ToJson(BetweenTokens);
        json["decode_steps_per_second"] = StepsPerSecond;
        json["predicted_inter_token_latency_seconds"] = Prediction.PredictedSeconds;
        json["prediction_error"] = Prediction.Error;
        json["predicted_at_measured_reads_seconds"] = Prediction.PredictedAtReadsSeconds;
        json["prediction_error_at_measured_reads"] = Prediction.ErrorAtReads;
        json["kv_bytes_per_token"] = KvBytesPerToken;
        json["stages"] = new JsonArray([.. Stages.Select(stage => stage.Json())]);
        json["worker_peak_rss_bytes"] = JsonSerializer.SerializeToNode(WorkerPeakBytes);
        json["coordinator_peak_rss_bytes"] = CoordinatorPeakBytes;
    }

    public IEnumerable<string> Lines() =>
    [
        Line($"  workers    {string.Join(", ", WorkerPeakBytes.Select(bytes => Line($"{bytes / 1e6:F0}")))} MB at most; the coordinator with the clients {CoordinatorPeakBytes / 1e6:F0} MB"),
        Line($"first token  {Seconds(FirstToken)}"),
        Line($"next token   {Seconds(BetweenTokens)}"),
        Prediction.Line(),
        Line($"KV cache     {KvBytesPerToken:F0} bytes a token"),
        .. Stages.SelectMany(stage => stage.Lines()),
    ];

    static JsonNode ToJson(Percentiles values) => new JsonObject { ["p50"] = values.P50, ["p90"] = values.P90, ["p99"] = values.P99 };

    static string Seconds(Percentiles values) => Line($"p50 {values.P50:F4} s, p90 {values.P90:F4} s, p99 {values.P99:F4} s");

    static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}

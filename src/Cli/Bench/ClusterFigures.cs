using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Cli.Bench;

/// <summary>The part of a report that only a cluster has.</summary>
/// <param name="FirstToken">From sending the request; over all streams.</param>
/// <param name="BetweenTokens">From a token of a stream to the next; over all streams.</param>
/// <param name="WorkerPeakBytes">The peak memory of each worker.</param>
/// <param name="CoordinatorPeakBytes">The peak memory of this process: the coordinator and the clients.</param>
sealed record ClusterFigures(
    Percentiles FirstToken, Percentiles BetweenTokens, double StepsPerSecond, IReadOnlyList<StageFigures> Stages, PredictionCheck Prediction,
    IReadOnlyList<long> WorkerPeakBytes, long CoordinatorPeakBytes)
{
    public long PeakResidentBytes => WorkerPeakBytes.Sum() + CoordinatorPeakBytes;

    /// <summary>The size of a token in the KV pools of all workers together.</summary>
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
        Line($"  workers    {string.Join(", ", WorkerPeakBytes.Select(bytes => Line($"{bytes / 1e6:F0}")))} MB at most;")
            + Line($" the coordinator with the clients {CoordinatorPeakBytes / 1e6:F0} MB"),
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

/// <summary>The results of one round over a cluster.</summary>
/// <param name="Prefill">The time until every stream had its first token.</param>
/// <param name="TokensPerSecond">All streams together, while all of them decoded. The later parameters are of the same time.</param>
sealed record ClusterRound(
    TimeSpan Prefill, TimeSpan MeanFirstToken, Percentiles FirstToken, Percentiles BetweenTokens, double TokensPerSecond, double StepsPerSecond,
    IReadOnlyList<StageLoad> Stages)
{
    public static ClusterRound Of(IReadOnlyList<StreamTimes> streams, StageReading from, StageReading to)
    {
        var (seconds, steps, tokens, stages) = to.Since(from);
        return new ClusterRound(
            streams.Max(stream => stream.FirstToken),
            streams.Aggregate(TimeSpan.Zero, (sum, stream) => sum + stream.FirstToken) / streams.Count,
            Percentiles.Of(streams.Select(stream => stream.FirstToken)),
            Percentiles.Of(streams.SelectMany(stream => stream.Gaps)),
            tokens / seconds,
            steps / seconds,
            stages);
    }
}

/// <summary>Percentiles of latencies, in seconds (nearest rank).</summary>
sealed record Percentiles(double P50, double P90, double P99)
{
    /// <param name="values">At least one.</param>
    public static Percentiles Of(IEnumerable<TimeSpan> values)
    {
        TimeSpan[] sorted = [.. values.Order()];
        return new Percentiles(At(sorted, 50), At(sorted, 90), At(sorted, 99));
    }

    static double At(TimeSpan[] sorted, int percent) => sorted[(sorted.Length * percent + 99) / 100 - 1].TotalSeconds;
}

/// <summary>Compares the planner's prediction with the measurement. All times are from a token of a stream to the next, in seconds.</summary>
/// <param name="PredictedSeconds">The prediction from the measurements that the first worker made when it started.</param>
/// <param name="PredictedAtReadsSeconds">
/// The prediction with the memory speed of plain reads just before and after the round that counts. The remaining error is the planner's own.
/// </param>
/// <param name="MeasuredSeconds">The median over all streams.</param>
sealed record PredictionCheck(double PredictedSeconds, double PredictedAtReadsSeconds, double MeasuredSeconds)
{
    /// <summary>The error as a fraction of the measured time; positive if the prediction is too long.</summary>
    public double Error => PredictedSeconds / MeasuredSeconds - 1;

    /// <inheritdoc cref="Error"/>
    public double ErrorAtReads => PredictedAtReadsSeconds / MeasuredSeconds - 1;

    /// <param name="planned">The plan that ran. It is predicted again for the load of the benchmark.</param>
    /// <param name="workerRead">Plain reads by as many threads as a worker has, in bytes per second.</param>
    /// <param name="hostRead">Plain reads by as many threads as there are processors.</param>
    public static PredictionCheck Of(PlanOutcome.Planned planned, BenchOptions load, Percentiles betweenTokens, double workerRead, double hostRead)
    {
        var problem = planned.Problem;
        var cluster = problem.Cluster;
        var asRead = new ClusterProfile(
            [.. cluster.Workers.Select(worker => worker with { ReadBytesPerSecond = workerRead })],
            [.. cluster.Hosts.Select(host => host with { ReadBytesPerSecond = Math.Max(workerRead, hostRead) })], cluster.Links);
        double SecondsOn(ClusterProfile profile)
        {
            var goal = problem.Goal with { Concurrency = load.Concurrency, Positions = load.PromptTokens + load.GenerateTokens / 2 };
            var loaded = new PlanningProblem(problem.Model, profile, goal, problem.Overheads);
            return PlanPredictor.Predict(loaded, planned.Pipeline.Stages).Streams[^1].SecondsPerToken;
        }
        return new PredictionCheck(SecondsOn(cluster), SecondsOn(asRead), betweenTokens.P50);
    }

    public string Line() => FormattableString.Invariant(
        $"predicted    {PredictedSeconds:F4} s ({Words(Error)});")
        + FormattableString.Invariant($" at the memory's speed around the round {PredictedAtReadsSeconds:F4} s ({Words(ErrorAtReads)})");

    static string Words(double error) => FormattableString.Invariant($"{Math.Abs(error):P0} {(error < 0 ? "below" : "above")} the p50");
}

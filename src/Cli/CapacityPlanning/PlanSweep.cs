using System.Globalization;
using System.Text.Json;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Cli.CapacityPlanning;

/// <summary>Plans for many clusters that differ in one value. Each has the best plan, and for comparison the best pipeline and a single tensor group.</summary>
static class PlanSweep
{
    public const string Best = "best", Pipeline = "pipeline", TensorGroup = "tensor group";

    /// <exception cref="CommandFailedException">The cluster has several kinds of workers, or no network between hosts, so the axis means nothing.</exception>
    public static IReadOnlyList<SweepPoint> Run(PlanQuestion question, ClusterDescription cluster, SweepAxis axis)
    {
        if (axis.Subject == SweepSubject.Workers && cluster.Kinds is not [{ PerHost: 1 }])
            throw new CommandFailedException($"--sweep workers needs a cluster of one kind of workers with one on each host; {cluster.Name} has others");
        if (cluster.Kinds.Any(kind => kind.Outer is null))
            throw new CommandFailedException($"--sweep needs the network between hosts; {cluster.Name} has one host and no network");
        return [.. axis.Values.SelectMany(value => At(question, axis.Apply(cluster, value), value))];
    }

    static IEnumerable<SweepPoint> At(PlanQuestion question, ClusterDescription cluster, double value)
    {
        var workers = cluster.Kinds.Sum(kind => kind.Hosts * kind.PerHost);
        yield return Point(Best, value, question.On(cluster, goal => goal));
        yield return Point(Pipeline, value, question.On(cluster, goal => goal with { RanksPerStage = 1, UsesAll = true }));
        yield return Point(TensorGroup, value, question.On(cluster, goal => goal with { RanksPerStage = workers, UsesAll = true }));
    }

    static SweepPoint Point(string series, double value, PlanningProblem problem) => PipelinePlanner.Plan(problem) switch
    {
        PipelineOutcome.Planned { Pipeline: var plan } => new SweepPoint(
            series, value, plan.Prediction.OneToken.Total, plan.Prediction.Streams[^1].TokensPerSecond, ShapeOf(plan), plan.Prediction.Limit),
        PipelineOutcome.Refused refused => new SweepPoint(series, value, null, null, "", refused.Reason),
        var other => throw new InvalidOperationException($"unknown outcome {other}"),
    };

    static string ShapeOf(PlannedPipeline plan)
    {
        List<string> runs = [];
        for (var first = 0; first < plan.Stages.Count;)
        {
            var ranks = plan.Stages[first].Workers.Count;
            var count = plan.Stages.Skip(first).TakeWhile(stage => stage.Workers.Count == ranks).Count();
            runs.Add(count == 1 ? $"{ranks}" : $"{ranks}x{count}");
            first += count;
        }
        return string.Join('+', runs);
    }
}

/// <summary>The prediction for one way of splitting at one value of a sweep's axis.</summary>
/// <param name="Series">"best", "pipeline" (stages of one worker) or "tensor group" (one stage of all workers).</param>
/// <param name="SecondsPerToken">One stream; null if the model does not fit.</param>
/// <param name="TokensPerSecond">All streams that were asked for, together; null if the model does not fit.</param>
/// <param name="Shape">Ranks of each stage, like 4+4+2; runs are written 2x16.</param>
sealed record SweepPoint(string Series, double Value, double? SecondsPerToken, double? TokensPerSecond, string Shape, string Limit);

/// <summary>The points of a sweep as CSV or JSON. All figures are predicted.</summary>
static class SweepReport
{
    public static IEnumerable<string> Csv(SweepAxis axis, IReadOnlyList<SweepPoint> points) =>
    [
        $"{Column(axis)},series,predicted_seconds_per_token,predicted_tokens_per_second,ranks_of_stages,limit",
        .. points.Select(point => string.Create(
            CultureInfo.InvariantCulture,
            $"{point.Value:R},{point.Series},{point.SecondsPerToken:R},{point.TokensPerSecond:R},{point.Shape},\"{point.Limit.Replace("\"", "\"\"")}\"")),
    ];

    public static string Json(PlanQuestion question, ClusterDescription cluster, SweepAxis axis, IReadOnlyList<SweepPoint> points) =>
        JsonSerializer.Serialize(new
        {
            predicted = true,
            model = question.Model.Footprint.Name,
            cluster = cluster.Name,
            objective = question.Objective.ToString().ToLowerInvariant(),
            concurrency = question.Streams,
            axis = Column(axis),
            points = points.Select(point => new
            {
                value = point.Value,
                series = point.Series,
                seconds_per_token = point.SecondsPerToken,
                tokens_per_second = point.TokensPerSecond,
                ranks_of_stages = point.Shape,
                limit = point.Limit,
            }),
        });

    static string Column(SweepAxis axis) => axis.Subject switch
    {
        SweepSubject.Workers => "workers",
        SweepSubject.RoundTrip => "round_trip_seconds",
        _ => "bandwidth_bytes_per_second",
    };
}

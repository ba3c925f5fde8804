using System.Globalization;
using System.Text.Json;

namespace LlamaCluster.Cli.Planning;

/// <summary>The points of a sweep as CSV or JSON. Everything is predicted.</summary>
static class SweepReport
{
    public static IEnumerable<string> Csv(SweepAxis axis, IReadOnlyList<SweepPoint> points) =>
    [
        $"{Column(axis)},series,predicted_seconds_per_token,predicted_tokens_per_second,ranks_of_stages,limit",
        .. points.Select(point => string.Create(
            CultureInfo.InvariantCulture, $"{point.Value:R},{point.Series},{point.SecondsPerToken:R},{point.TokensPerSecond:R},{point.Shape},\"{point.Limit.Replace("\"", "\"\"")}\"")),
    ];

    public static string Json(PlanQuestion question, ClusterDescription cluster, SweepAxis axis, IReadOnlyList<SweepPoint> points) => JsonSerializer.Serialize(new
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

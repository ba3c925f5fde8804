namespace LlamaCluster.Cli.Bench;

/// <summary>What a round over a cluster gave.</summary>
/// <param name="Prefill">Until every stream had its first token.</param>
/// <param name="TokensPerSecond">Of all streams together, while all of them decoded; so for the others.</param>
sealed record ClusterRound(
    TimeSpan Prefill, TimeSpan MeanFirstToken, Percentiles FirstToken, Percentiles BetweenTokens, double TokensPerSecond, double StepsPerSecond, IReadOnlyList<StageLoad> Stages)
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

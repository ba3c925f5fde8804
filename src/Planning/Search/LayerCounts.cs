namespace LlamaCluster.Planning.Search;

/// <summary>A division of layers among the stages of a scheme, with what it takes, in picoseconds.</summary>
/// <param name="Together">The sum of the stages' times.</param>
/// <param name="Slowest">Of the stages' times.</param>
/// <param name="Cycle">See <see cref="SchemeFlow.Cycle"/>.</param>
/// <param name="IsBoundByWay">The way through all stages takes longer than the slowest stage for all steps in flight.</param>
sealed record LayerCounts(int[] Counts, long Together, long Slowest, long Cycle, bool IsBoundByWay)
{
    public static LayerCounts Of(int[] counts, SchemeFlow flow)
    {
        var (together, slowest, first) = (0L, 0L, 0);
        for (var stage = 0; stage < counts.Length; first += counts[stage++])
        {
            var time = flow.TimeOf(stage, first, counts[stage]);
            together += time;
            slowest = Math.Max(slowest, time);
        }
        return new LayerCounts(counts, together, slowest, flow.Cycle(together, slowest), flow.Latency(together) >= flow.StepsInFlight * slowest);
    }
}

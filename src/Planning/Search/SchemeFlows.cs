using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Search;

/// <summary>How long steps of one load take through the stages of a scheme, in whole picoseconds, for any division of layers.</summary>
sealed class SchemeFlow(IReadOnlyList<StageTimes> stages, int stepsInFlight, TimeParts between)
{
    const double PerSecond = 1e12;

    public IReadOnlyList<StageTimes> Stages => stages;

    public int StepsInFlight => stepsInFlight;

    /// <summary>The time of a step outside its stages: from the coordinator, from stage to stage, and back.</summary>
    public TimeParts Between => between;

    public long TimeOf(int stage, int first, int count) => stages[stage].PicosecondsOf(first, count);

    /// <summary>The time of a step through all stages.</summary>
    /// <param name="stagesTogether">The sum of the stages' times.</param>
    public long Latency(long stagesTogether) => between.Picoseconds + stagesTogether;

    /// <summary>
    /// The time until each step in flight has come round once: the time through all stages, or the time that the slowest stage takes for all steps in
    /// flight, whichever is longer.
    /// </summary>
    public long Cycle(long stagesTogether, long slowest) => Math.Max(Latency(stagesTogether), stepsInFlight * slowest);

    public static double Seconds(long picoseconds) => picoseconds / PerSecond;
}

/// <summary>A division of layers among the stages of a scheme, with its times in picoseconds.</summary>
/// <param name="Together">The sum of the stages' times.</param>
/// <param name="Slowest">The longest of the stages' times.</param>
/// <param name="Cycle">See <see cref="SchemeFlow.Cycle"/>.</param>
/// <param name="IsBoundByWay">The way through all stages takes at least as long as the slowest stage takes for all steps in flight.</param>
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

/// <summary>
/// Computes the flows of schemes. Times of a group of workers are kept and used again for all groups of the same kind, because a large cluster has
/// many of those. Not safe for concurrent use.
/// </summary>
sealed class SchemeFlows(PlanningProblem problem)
{
    readonly GroupNetwork _network = new(problem.Cluster, problem.Overheads);
    readonly Dictionary<string, StageTimes> _times = [];
    readonly Dictionary<string, TimeParts> _hops = [];

    /// <summary>The number of steps in flight, and the rows of each, with which these stages serve these streams.</summary>
    public static (int StepsInFlight, int Rows) Decode(int stages, int streams)
    {
        var inFlight = Math.Min(stages, streams);
        return (inFlight, (streams + inFlight - 1) / inFlight);
    }

    /// <summary>The flow of decoding: every stream's next token.</summary>
    public SchemeFlow OfStreams(IReadOnlyList<StageGroup> groups, int streams)
    {
        var (inFlight, rows) = Decode(groups.Count, streams);
        return Of(groups, StepLoad.Decode(rows, problem.Goal.Positions), inFlight);
    }

    public SchemeFlow Of(IReadOnlyList<StageGroup> groups, StepLoad load, int stepsInFlight)
    {
        var uses = HostUse.Of(problem.Cluster, [.. groups.Select(group => group.Workers)], stepsInFlight);
        var between = _network.Step(groups[0].Workers, groups[^1].Workers);
        for (var stage = 1; stage < groups.Count; stage++) between += Hop(groups[stage - 1], groups[stage], load.Rows);
        return new SchemeFlow([.. groups.Select(group => TimesOf(group, load, uses))], stepsInFlight, between);
    }

    StageTimes TimesOf(StageGroup group, StepLoad load, IReadOnlyDictionary<int, HostUse> uses)
    {
        var hosts = group.Workers.Select(worker => problem.Cluster.Workers[worker].Host).Distinct();
        var key = $"{group.Kind} {group.Shares} {load.Rows}/{load.SampledRows}/{load.Positions} {string.Join(',', hosts.Select(host => uses[host]))}";
        return _times.TryGetValue(key, out var known) ? known : _times[key] = new StageTimes(problem, group, load, uses);
    }

    TimeParts Hop(StageGroup from, StageGroup to, int rows)
    {
        int[] both = [.. from.Workers, .. to.Workers];
        var key = $"{from.Workers.Length} {problem.Cluster.GroupKindOf(both)} {rows}";
        if (_hops.TryGetValue(key, out var known)) return known;
        return _hops[key] = _network.Hop(from.Workers, to.Workers, rows * problem.Model.HiddenSize * problem.Goal.ActivationBytes);
    }
}

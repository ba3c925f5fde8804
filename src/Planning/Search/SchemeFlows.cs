using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Search;

/// <summary>
/// The flows of schemes. What was computed for a group of workers is used again for groups that are like it, of which a large cluster has
/// many. Not safe for concurrent use.
/// </summary>
sealed class SchemeFlows(PlanningProblem problem)
{
    readonly GroupNetwork _network = new(problem.Cluster, problem.Overheads);
    readonly Dictionary<string, StageTimes> _times = [];
    readonly Dictionary<string, TimeParts> _hops = [];

    /// <summary>Steps in flight and rows in each with which so many stages serve so many streams.</summary>
    public static (int StepsInFlight, int Rows) Decode(int stages, int streams)
    {
        var inFlight = Math.Min(stages, streams);
        return (inFlight, (streams + inFlight - 1) / inFlight);
    }

    /// <summary>Every stream's next token.</summary>
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
        var key = $"{from.Workers.Length} {GroupKind.Of(problem.Cluster, both)} {rows}";
        if (_hops.TryGetValue(key, out var known)) return known;
        return _hops[key] = _network.Hop(from.Workers, to.Workers, rows * problem.Model.Sizes.HiddenSize * problem.Goal.ActivationBytes);
    }
}

using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Search;

/// <summary>
/// Finds the cost of a scheme: divides its layers in the best way, within <see cref="Precision"/>, and computes what a token costs then. Counts its
/// work. Not safe for concurrent use.
/// </summary>
sealed class SchemeEvaluator(PlanningProblem problem)
{
    /// <summary>A division may cost more than the best one by this fraction.</summary>
    public const double Precision = 1e-4;

    readonly StageGroups _groups = new(problem);
    readonly SchemeFlows _flows = new(problem);

    /// <summary>The number of divisions of layers that were computed, each O(S (L - S)^2).</summary>
    public int Divisions { get; private set; }

    /// <summary>The cost with experts given to ranks in the cheapest way that the goal allows; among equal ones by columns.</summary>
    /// <param name="ceiling">A scheme that costs more is of no interest.</param>
    /// <returns>Null if the model does not fit, or the cost is above the ceiling.</returns>
    public SchemeCost? Evaluate(PlanScheme scheme, long ceiling = long.MaxValue)
    {
        SchemeCost? best = null;
        foreach (var wholeExperts in CutsOf(scheme))
            if (Evaluate(scheme, wholeExperts, best?.Picoseconds - 1 ?? ceiling) is { } cost) best = cost;
        return best;
    }

    /// <summary>The cost with experts given to ranks in one way, wherever so many ranks can have them so.</summary>
    /// <inheritdoc cref="Evaluate(PlanScheme, long)"/>
    public SchemeCost? Evaluate(PlanScheme scheme, bool wholeExperts, long ceiling)
    {
        foreach (var byMemory in new[] { false, true })
        {
            StageGroup[] groups = [.. scheme.Stages.Select(stage => _groups.Of(stage, byMemory, wholeExperts))];
            var flow = FlowOf(groups);
            if (Divide(groups, flow, long.MaxValue) is not { } shortest) continue;   // shares by pace do not fit; shares by memory may
            return LeastCycle(groups, flow, shortest, ceiling) is { } division && division.Cycle <= ceiling
                ? new SchemeCost(scheme, groups, division.Counts, division.Cycle)
                : null;
        }
        return null;
    }

    /// <summary>A cost that no division of the scheme's layers is below. It assumes that layers can be cut, and that the head costs nothing.</summary>
    public long LowerBound(PlanScheme scheme) => CutsOf(scheme).Min(wholeExperts => LowerBound(scheme, wholeExperts));

    long LowerBound(PlanScheme scheme, bool wholeExperts)
    {
        var flow = FlowOf([.. scheme.Stages.Select(stage => _groups.Of(stage, byMemory: false, wholeExperts))]);
        var kinds = problem.Model.LayerKinds.CountBy(kind => kind).ToList();
        var stages = flow.Stages.CountBy(stage => stage).ToList();
        // A layer's work is its time on the stage that is fastest for it. A stage works at its highest rate with the layers that it is best at.
        var work = kinds.ToDictionary(kind => kind.Key, kind => stages.Min(stage => stage.Key.PicosecondsOfLayer(kind.Key)));
        var rate = stages.Sum(stage => stage.Value * kinds.Max(kind => (double)work[kind.Key] / stage.Key.PicosecondsOfLayer(kind.Key)));
        var all = kinds.Sum(kind => kind.Value * work[kind.Key]);
        return flow.Cycle(all, Below(all / rate));
    }

    /// <summary>Where no stage is shared there is nothing to choose.</summary>
    IEnumerable<bool> CutsOf(PlanScheme scheme) => scheme.Stages.All(stage => stage.Length == 1) ? problem.ExpertCuts.Take(1) : problem.ExpertCuts;

    SchemeFlow FlowOf(StageGroup[] groups) =>
        _flows.OfStreams(groups, problem.Goal.Objective == PlanObjective.Throughput ? problem.Goal.Concurrency : 1);

    /// <summary>
    /// The division with the shortest cycle. A lower bound on the slowest stage makes the way through all stages longer. The best division is where
    /// both limit the cycle equally; a binary search finds it.
    /// </summary>
    /// <param name="shortest">The division with the shortest way through all stages.</param>
    /// <returns>Null if every division costs more than the ceiling.</returns>
    LayerCounts? LeastCycle(StageGroup[] groups, SchemeFlow flow, LayerCounts shortest, long ceiling)
    {
        if (shortest.IsBoundByWay) return shortest;
        var bottleneck = LeastBottleneck(groups, flow);
        if (flow.Cycle(shortest.Together, bottleneck) > ceiling) return null;
        var (low, high) = (Divide(groups, flow, bottleneck)!, shortest);
        if (!low.IsBoundByWay) return low;
        var (below, above) = (bottleneck, high.Slowest);
        while (Math.Min(low.Cycle, high.Cycle) > (1 + Precision) * flow.Cycle(high.Together, below) && above - below > 1)
        {
            var bound = below + (above - below) / 2;
            var middle = Divide(groups, flow, bound)!;
            if (middle.IsBoundByWay) (low, below) = (middle, bound);
            else (high, above) = (middle, bound);
        }
        return low.Cycle <= high.Cycle ? low : high;
    }

    /// <param name="bound">No stage may take longer.</param>
    /// <returns>The division with the shortest way through all stages; among equal ones, the one with the most equal stages.</returns>
    LayerCounts? Divide(StageGroup[] groups, SchemeFlow flow, long bound)
    {
        Divisions++;
        var best = LayerDivision.Best<StageSum>(
            problem.Model.LayerCount, groups.Length,
            (stage, first, count) => flow.TimeOf(stage, first, count) is var time && time <= bound && groups[stage].Holds(first, count)
                ? StageSum.Of(time)
                : null,
            StageSum.Add);
        return best is var (counts, _) ? LayerCounts.Of(counts, flow) : null;
    }

    /// <summary>The least time of the slowest stage, over all divisions.</summary>
    long LeastBottleneck(StageGroup[] groups, SchemeFlow flow)
    {
        Divisions++;
        return LayerDivision.Best<long>(
            problem.Model.LayerCount, groups.Length,
            (stage, first, count) => groups[stage].Holds(first, count) ? flow.TimeOf(stage, first, count) : null,
            Math.Max)!.Value.Cost;
    }

    /// <summary>A little less than the value, so that rounding cannot make the bound too high.</summary>
    static long Below(double picoseconds) => (long)(picoseconds * (1 - 1e-9)) - 1;
}

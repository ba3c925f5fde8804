using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Search;

/// <summary>Which workers share which stage, before layers are divided: for each stage its workers, in rank order.</summary>
sealed record PlanScheme(IReadOnlyList<int[]> Stages)
{
    /// <summary>For people: "3 stages of 2, 1 and 2 ranks".</summary>
    public string Shape
    {
        get
        {
            var stages = Stages.Count == 1 ? "1 stage" : $"{Stages.Count} stages";
            var counts = Stages.Select(stage => stage.Length).ToList();
            if (counts.Distinct().Count() == 1) return counts[0] == 1 ? $"{stages} of 1 worker" : $"{stages} of {counts[0]} ranks";
            return counts.Count <= 8
                ? $"{stages} of {string.Join(", ", counts.SkipLast(1))} and {counts[^1]} ranks"
                : $"{stages} of {counts.Min()} to {counts.Max()} ranks, {counts.Sum()} workers";
        }
    }

    public int Workers => Stages.Sum(stage => stage.Length);

    /// <summary>Whether the problem's goal allows this scheme.</summary>
    public bool IsAllowed(PlanningProblem problem)
    {
        var (goal, stages) = (problem.Goal, Stages.Count);
        if (stages == 0 || stages > problem.Model.LayerCount) return false;
        if (Stages.SkipLast(1).Any(stage => !AllowsRanks(problem, stage.Length, isLast: false)) || !AllowsRanks(problem, Stages[^1].Length, isLast: true))
            return false;
        return !goal.UsesAll || Workers == problem.Cluster.Workers.Count || stages == problem.Model.LayerCount;
    }

    /// <summary>Whether a stage may have so many ranks. If every worker must be used, the last stage may have the remainder.</summary>
    public static bool AllowsRanks(PlanningProblem problem, int ranks, bool isLast)
    {
        if (ranks < 1 || ranks > problem.MaxRanks) return false;
        return problem.Goal.RanksPerStage is not { } given || ranks == given
            || (isLast && problem.Goal.UsesAll && ranks == problem.Cluster.Workers.Count % given);
    }
}

/// <summary>A scheme with its layers divided in the best way, and the cost of that.</summary>
/// <param name="Picoseconds">Per token: of one stream, or of all streams together; see <see cref="PlanObjective"/>.</param>
sealed record SchemeCost(PlanScheme Scheme, IReadOnlyList<StageGroup> Groups, int[] Counts, long Picoseconds)
{
    /// <summary>In some stage ranks have whole experts.</summary>
    public bool HasWholeExperts => Groups.Any(group => group.Shares.WholeExperts);

    /// <summary>For people.</summary>
    public string Shape => HasWholeExperts ? $"{Scheme.Shape} with whole experts" : Scheme.Shape;
}

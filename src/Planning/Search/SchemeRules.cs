using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Search;

/// <summary>Which schemes a goal allows.</summary>
static class SchemeRules
{
    /// <summary>Where no worker may be left out, the last stage has those that are over.</summary>
    public static bool AllowsRanks(PlanningProblem problem, int ranks, bool isLast)
    {
        if (ranks < 1 || ranks > problem.MaxRanks) return false;
        return problem.Goal.RanksPerStage is not { } given || ranks == given || (isLast && problem.Goal.UsesAll && ranks == problem.Cluster.Workers.Count % given);
    }

    public static bool Allow(PlanScheme scheme, PlanningProblem problem)
    {
        var (goal, stages) = (problem.Goal, scheme.Stages.Count);
        if (stages == 0 || stages > problem.Model.LayerCount) return false;
        if (scheme.Stages.SkipLast(1).Any(stage => !AllowsRanks(problem, stage.Length, isLast: false)) || !AllowsRanks(problem, scheme.Stages[^1].Length, isLast: true)) return false;
        return !goal.UsesAll || scheme.Workers == problem.Cluster.Workers.Count || stages == problem.Model.LayerCount;
    }
}

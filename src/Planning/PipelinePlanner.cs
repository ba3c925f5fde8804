using System.Globalization;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Planning.Search;

namespace LlamaCluster.Planning;

/// <summary>
/// Decides which workers share which layers. It predicts the cost of a token from measurements of workers and links (namespace Costs), and searches
/// stages, ranks and ranges for the least cost (<see cref="SchemeSearch"/>). A plan must fit every worker's memory together with the KV cache that
/// is asked for. Pure and deterministic.
/// </summary>
public static class PipelinePlanner
{
    public static PipelineOutcome Plan(PlanningProblem problem)
    {
        if (FirstProblem(problem) is { } wrong) return new PipelineOutcome.Refused(wrong);
        if (new SchemeSearch(problem).Run() is not { } found) return new PipelineOutcome.Refused(MemoryArithmetic.DoesNotFit(problem));
        var stages = StagesOf(found.Best);
        return new PipelineOutcome.Planned(new PlannedPipeline(stages, PlanPredictor.Predict(problem, stages), ChoiceOf(problem, found)));
    }

    /// <summary>Why so many workers cannot share a stage of the model, however many there are, in one line; null if they can.</summary>
    public static string? RankProblem(ModelFootprint model, int ranks, ExpertParallel experts)
    {
        var most = PlanningProblem.RankLimitOf(model, experts);
        if (ranks <= most) return null;
        var why = ranks <= RankShares.MaxRanks
            ? model.Splits.Select(sizes => TensorSplit.FirstProblem(sizes, RankShares.Equal(ranks).WithExperts(experts is ExpertParallel.On)))
                .FirstOrDefault(problem => problem is not null)
            : null;
        return $"--tensor-parallel is {ranks}; a stage of {model.Name} can be shared by at most {most}: {why ?? "more would exchange more than they save"}";
    }

    /// <summary>Why ranks of a model cannot have whole experts, in one line; null if they can, or need not.</summary>
    public static string? ExpertProblem(ModelFootprint model, ExpertParallel experts) =>
        experts is ExpertParallel.On && !model.HasExperts ? $"--expert-parallel is on, but {model.Name} has no experts: leave it out" : null;

    static string? FirstProblem(PlanningProblem problem)
    {
        var (workers, goal) = (problem.Cluster.Workers.Count, problem.Goal);
        if (workers == 0) return "there are no workers";
        if (ExpertProblem(problem.Model, goal.ExpertParallel) is { } none) return none;
        if (goal.RanksPerStage is not { } ranks) return null;
        if (RankProblem(problem.Model, ranks, goal.ExpertParallel) is { } tooMany) return tooMany;
        return ranks > workers && !goal.UsesAll ? $"--tensor-parallel is {ranks}, but there are only {workers} workers" : null;
    }

    static IReadOnlyList<PlannedStage> StagesOf(SchemeCost cost)
    {
        var first = 0;
        return [.. cost.Groups.Zip(
            cost.Counts, (group, count) => new PlannedStage(new LayerRange((first += count) - count, count), group.Workers, group.Shares))];
    }

    static string ChoiceOf(PlanningProblem problem, SearchResult found)
    {
        var from = found.IsExact ? $"the best of all {found.Considered} schemes" : $"the best of {found.Considered} schemes looked at";
        var line = $"{found.Best.Shape}: {from}";
        if (found.RunnerUp is { } next) line += $"; next comes {next.Shape}: {Cost(problem, next)}, {Slower(next)}";
        if (found.OtherExperts is { } other)
            line += $"; with {(other.HasWholeExperts ? "whole experts" : "columns of every expert")} on each rank: {Cost(problem, other)}, {Slower(other)}";
        return line;

        string Slower(SchemeCost other) =>
            string.Create(CultureInfo.InvariantCulture, $"{100.0 * other.Picoseconds / found.Best.Picoseconds - 100:0.0} % slower");
    }

    static string Cost(PlanningProblem problem, SchemeCost cost)
    {
        var seconds = SchemeFlow.Seconds(cost.Picoseconds);
        return problem.Goal.Objective == PlanObjective.Latency
            ? string.Create(CultureInfo.InvariantCulture, $"{1e3 * seconds:0.00} ms per token")
            : string.Create(CultureInfo.InvariantCulture, $"{problem.Goal.Concurrency / seconds:0.00} tokens/s");
    }
}

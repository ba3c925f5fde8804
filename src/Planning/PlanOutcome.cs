using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Planning;

public abstract record PlanOutcome
{
    PlanOutcome() { }

    /// <param name="KvBlocks">As many as were wanted, or as the tightest worker has memory for.</param>
    /// <param name="Pipeline">The plan as it was found; its workers are indices into <see cref="MeasuredCluster.Members"/>.</param>
    /// <param name="Problem">What it was found for, and with which measurements.</param>
    public sealed record Planned(ClusterPlan Plan, int KvBlocks, PlannedPipeline Pipeline, PlanningProblem Problem) : PlanOutcome;

    /// <param name="Reason">One line for people.</param>
    public sealed record Refused(string Reason) : PlanOutcome;
}

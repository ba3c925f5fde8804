using LlamaCluster.Cluster.Plans;

namespace LlamaCluster.Coordinator.Planning;

public abstract record PlanOutcome
{
    PlanOutcome() { }

    /// <param name="KvBlocks">As many as were wanted, or as the tightest worker has memory for.</param>
    public sealed record Planned(ClusterPlan Plan, int KvBlocks) : PlanOutcome;

    /// <param name="Reason">One line for people.</param>
    public sealed record Refused(string Reason) : PlanOutcome;
}

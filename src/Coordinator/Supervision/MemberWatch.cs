using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>Keeps an eye on the workers of one plan until it is told to stop.</summary>
sealed class MemberWatch(WorkerRegistry registry, ClusterPlan plan, CancellationToken cancellation)
{
    /// <summary>Completes when one is lost.</summary>
    public Task<PipelineFailure> Lost { get; } = WatchForLossAsync(registry, plan, cancellation);

    static async Task<PipelineFailure> WatchForLossAsync(WorkerRegistry registry, ClusterPlan plan, CancellationToken cancellation)
    {
        ShardAssignment? FirstLost(MembershipSnapshot now) => plan.Assignments.FirstOrDefault(part => now.FindPresent(part.Worker) is null);
        var snapshot = await registry.WaitAsync(now => FirstLost(now) is not null, cancellation);
        var worker = FirstLost(snapshot)!.Worker;
        var description = snapshot.Find(worker) is { } member ? $"{member} was lost: {member.Loss}" : $"worker {worker} was lost";
        return new PipelineFailure(worker, WorkerLost: true, description);
    }
}

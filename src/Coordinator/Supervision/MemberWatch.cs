using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>Keeps an eye on the workers of one plan until it is told to stop.</summary>
sealed class MemberWatch
{
    public MemberWatch(WorkerRegistry registry, ClusterPlan plan, CancellationToken cancellation)
    {
        Lost = WatchForLossAsync(registry, plan, cancellation);
        Leaving = WatchForLeavingAsync(registry, plan, cancellation);
    }

    /// <summary>Completes when one is lost.</summary>
    public Task<PipelineFailure> Lost { get; }

    /// <summary>Completes when one wants to leave.</summary>
    public Task<PipelineFailure> Leaving { get; }

    static async Task<PipelineFailure> WatchForLossAsync(WorkerRegistry registry, ClusterPlan plan, CancellationToken cancellation)
    {
        ShardAssignment? FirstLost(MembershipSnapshot now) => plan.Assignments.FirstOrDefault(part => now.FindPresent(part.Worker) is null);
        var snapshot = await registry.WaitAsync(now => FirstLost(now) is not null, cancellation);
        var worker = FirstLost(snapshot)!.Worker;
        var description = snapshot.Find(worker) is { } member ? $"{member} was lost: {member.Loss}" : $"worker {worker} was lost";
        return new PipelineFailure(worker, WorkerLost: true, description);
    }

    static async Task<PipelineFailure> WatchForLeavingAsync(WorkerRegistry registry, ClusterPlan plan, CancellationToken cancellation)
    {
        Member? FirstLeaving(MembershipSnapshot now)
            => now.Members.FirstOrDefault(member => member.State == MemberState.Draining && plan.Find(member.Id) is not null);
        var snapshot = await registry.WaitAsync(now => FirstLeaving(now) is not null, cancellation);
        var member = FirstLeaving(snapshot)!;
        return new PipelineFailure(member.Id, WorkerLost: false, $"{member} is leaving");
    }
}

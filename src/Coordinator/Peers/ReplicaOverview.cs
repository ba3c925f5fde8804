using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>All replicas of the cluster, as this coordinator sees them.</summary>
sealed class ReplicaOverview(OwnReplica own, OtherReplicas others, PeerState state) : IReplicaOverview
{
    public IReadOnlyList<ReplicaSummary> Replicas =>
    [
        own.SummaryAt(state.Epoch),
        .. others.Remote.Select(replica => replica.Summary).OrderBy(replica => replica.Id, StringComparer.Ordinal),
    ];
}

/// <summary>The only replica of a coordinator without others.</summary>
sealed class OneReplica(OwnReplica own) : IReplicaOverview
{
    public IReadOnlyList<ReplicaSummary> Replicas => [own.SummaryAt(epoch: 0)];
}

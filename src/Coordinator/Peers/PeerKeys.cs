using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Replicas;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>
/// The keys that callers may show to a coordinator: workers those of their registrations, other coordinators the one that this replica's name gives with the
/// cluster's secret. Before this coordinator has joined a cluster it knows no secret, and refuses all coordinators.
/// </summary>
sealed class PeerKeys(RegisteredWorkers workers, Replica replica) : ICallerKeys
{
    volatile PeerKey? _key;

    /// <summary>What coordinators show to the coordinator of a replica. So a call that reaches another one is refused.</summary>
    public static string PurposeOf(string replica) => $"replica {replica}";

    /// <summary>This coordinator has joined the cluster of this secret.</summary>
    public void Join(PeerKey secret) => _key = secret.For(PurposeOf(replica.Name));

    public string? FirstProblem(Caller expected, IHeaderDictionary headers) => expected != Caller.OtherCoordinator
        ? workers.FirstProblem(expected, headers)
        : _key?.Matches(headers[PeerKey.Header]) == true ? null : "the call does not show the key of a coordinator of this cluster";
}

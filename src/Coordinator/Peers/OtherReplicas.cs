using LlamaCluster.Sessions.Grains;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>
/// The replicas of the other coordinators. It follows the list that the coordinators agree on; a replica that is in the list is watched whether it can be
/// reached or not. Only its owner changes it; everybody may read it.
/// </summary>
sealed class OtherReplicas(ILogger<RemoteReplica> logger) : IOtherReplicas, IAsyncDisposable
{
    volatile IReadOnlyList<RemoteReplica> _all = [];

    public IReadOnlyList<IReplica> All => _all;

    public IReadOnlyList<RemoteReplica> Remote => _all;

    /// <summary>Takes a new list over. A replica with a new owner is another one.</summary>
    public async Task UpdateAsync(IReadOnlyCollection<ReplicaOwner> owners, PeerSettings settings, Func<ReplicaOwner, CancellationToken, Task> onGone)
    {
        var gone = _all.Where(replica => !owners.Contains(replica.Owner)).ToList();
        var known = _all.Select(replica => replica.Owner).ToHashSet();
        _all = [.. _all.Except(gone), .. owners.Where(owner => !known.Contains(owner)).Select(owner => new RemoteReplica(owner, settings, onGone, logger))];
        foreach (var replica in gone) await replica.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        var all = _all;
        _all = [];
        foreach (var replica in all) await replica.DisposeAsync();
    }
}

using LlamaCluster.Sessions.Grains;
using LlamaCluster.Sessions.Hosting;
using LlamaCluster.Sessions.Storage;

namespace LlamaCluster.Sessions;

/// <summary>
/// The coordinators of a cluster, as they agree on it: who owns which replica. Every method throws <see cref="StateStoreException"/> while the store cannot be
/// reached.
/// </summary>
public sealed class ClusterDirectory(SiloOwner silo)
{
    /// <summary>Completes when the other coordinators have taken this one for dead.</summary>
    public Task Evicted => silo.Evicted;

    /// <inheritdoc cref="IClusterGrain.JoinAsync"/>
    public Task<JoinReply> JoinAsync(ReplicaClaim claim, CancellationToken cancellation)
        => silo.CallAsync(started => GrainOf(started).JoinAsync(claim with { Silo = started.Name }), cancellation);

    /// <summary>The owners whose silos are alive.</summary>
    public Task<ReplicaOwner[]> ListAsync(CancellationToken cancellation) => silo.CallAsync(started => GrainOf(started).ListAsync(), cancellation);

    public Task LeaveAsync(string replica, ulong epoch, CancellationToken cancellation) => silo.CallAsync(async started =>
    {
        await GrainOf(started).LeaveAsync(replica, epoch);
        return true;
    }, cancellation);

    /// <summary>
    /// A coordinator's process is gone for certain: nobody listens any more where it did. So its silo is dead, and nobody needs to wait until that is noticed.
    /// </summary>
    /// <returns>False if its silo still listens.</returns>
    public Task<bool> BuryAsync(ReplicaOwner owner, CancellationToken cancellation)
        => silo.CallAsync(started => KilledSilos.TryBuryAsync(started.Members, owner.Claim.Silo, cancellation), cancellation);

    static IClusterGrain GrainOf(SessionSilo silo) => silo.Grains.GetGrain<IClusterGrain>(IClusterGrain.Key);
}

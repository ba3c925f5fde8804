using System.Security.Cryptography;
using System.Text;
using Orleans.Placement;

namespace LlamaCluster.Sessions.Grains;

/// <inheritdoc cref="IClusterGrain"/>
[PreferLocalPlacement]
sealed class ClusterGrain(
    [PersistentState(SessionRules.Store, SessionRules.Store)] IPersistentState<ClusterState> stored, LeaseHolders silos, SessionRules rules)
    : Grain, IClusterGrain
{
    /// <summary>Replicas that are gone are remembered for their epochs, but not without end.</summary>
    const int MostReplicas = 4096;

    public async Task<JoinReply> JoinAsync(ReplicaClaim claim)
    {
        if (stored.State.ClusterId.Length == 0) stored.State = Found(stored.State);
        var state = stored.State;
        var id = IdOf(state, claim.Replica);
        if (Array.Find(state.Owners, owner => owner.Claim.Replica == claim.Replica) is { } before)
        {
            if (before.Claim == claim) return new JoinReply(before, id, state.Secret);   // it asks again, because the answer was lost
            if (before.Claim.Instance != claim.Instance && silos.Live(before.Claim.Silo)) return new JoinReply(before, id, []);
        }
        if (!state.Epochs.ContainsKey(claim.Replica) && state.Epochs.Count >= MostReplicas)
            throw new InvalidOperationException(
                $"{MostReplicas} replicas have had names in this cluster; give coordinators that start again the names that they had (--name)");
        var owner = new ReplicaOwner(claim, state.Epochs.GetValueOrDefault(claim.Replica) + 1, rules.Time.GetUtcNow());
        await WriteAsync(state with
        {
            Owners = [.. state.Owners.Where(other => other.Claim.Replica != claim.Replica && silos.Live(other.Claim.Silo)), owner],
            Epochs = new(state.Epochs) { [claim.Replica] = owner.Epoch },
        });
        return new JoinReply(owner, id, state.Secret);
    }

    public Task<ReplicaOwner[]> ListAsync() => Task.FromResult(Array.FindAll(stored.State.Owners, owner => silos.Live(owner.Claim.Silo)));

    public Task LeaveAsync(string replica, ulong epoch) => WriteAsync(stored.State with
    {
        Owners = Array.FindAll(stored.State.Owners, owner => owner.Claim.Replica != replica || owner.Epoch != epoch),
    });

    static ClusterState Found(ClusterState empty) => empty with
    {
        ClusterId = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)),
        Secret = RandomNumberGenerator.GetBytes(32),
    };

    /// <summary>To workers each replica is a cluster of its own: epochs of one say nothing of another's.</summary>
    static string IdOf(ClusterState state, string replica)
        => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{state.ClusterId}/{replica}")).AsSpan(0, 16));

    async Task WriteAsync(ClusterState next)
    {
        var before = stored.State;
        stored.State = next;
        try
        {
            await stored.WriteStateAsync();
        }
        catch
        {
            stored.State = before;
            DeactivateOnIdle();   // who comes next reads what is stored
            throw;
        }
    }
}

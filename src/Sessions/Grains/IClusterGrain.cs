namespace LlamaCluster.Sessions.Grains;

/// <summary>
/// The coordinators that share a store, each with a replica of its own: which of them owns which replica, and since which epoch. There is one of it. What a
/// replica does from moment to moment the coordinators tell each other directly.
/// </summary>
[Alias("LlamaCluster.IClusterGrain")]
interface IClusterGrain : IGrainWithStringKey
{
    /// <summary>The key of the one.</summary>
    const string Key = "cluster";

    /// <summary>Takes a replica over, at a new epoch, unless another process owns it and is alive.</summary>
    [Alias("Join")]
    Task<JoinReply> JoinAsync(ReplicaClaim claim);

    /// <summary>Who owns which replica now.</summary>
    [Alias("List")]
    Task<ReplicaOwner[]> ListAsync();

    /// <summary>The owner of this epoch gives the replica up.</summary>
    [Alias("Leave")]
    Task LeaveAsync(string replica, ulong epoch);
}

/// <summary>A coordinator that wants to own a replica.</summary>
/// <param name="Replica">The replica's name.</param>
/// <param name="Instance">The same for as long as the process lives.</param>
/// <param name="Address">Where other coordinators reach it (gRPC).</param>
/// <param name="ApiAddress">Where its clients do.</param>
/// <param name="Silo">Its silo; set by <see cref="ClusterDirectory"/>.</param>
/// <param name="Model">The model's name.</param>
/// <param name="Digest">The model's digest.</param>
[GenerateSerializer, Immutable]
public sealed record ReplicaClaim(string Replica, Guid Instance, string Address, string ApiAddress, string Silo, string Model, string Digest);

/// <summary>A coordinator that owns a replica.</summary>
/// <param name="Epoch">From 1. It grows with each owner of the replica.</param>
[GenerateSerializer, Immutable]
public sealed record ReplicaOwner(ReplicaClaim Claim, ulong Epoch, DateTimeOffset Since);

/// <param name="Owner">Who owns the replica now: the one that asked, or another that is alive.</param>
/// <param name="ClusterId">32 digits of lower-case hex: the id by which workers know the replica's coordinators, whichever it is.</param>
/// <param name="Secret">What coordinators of this cluster know each other by: 32 bytes. Empty if the claim failed.</param>
[GenerateSerializer, Immutable]
public sealed record JoinReply(ReplicaOwner Owner, string ClusterId, byte[] Secret);

/// <summary>What is stored of a cluster.</summary>
[GenerateSerializer, Immutable]
public sealed record ClusterState
{
    [Id(0)] public int Version { get; init; } = 1;

    [Id(1)] public string ClusterId { get; init; } = "";

    [Id(2)] public byte[] Secret { get; init; } = [];

    [Id(3)] public ReplicaOwner[] Owners { get; init; } = [];

    /// <summary>The last epoch of each replica that was ever owned.</summary>
    [Id(4)] public Dictionary<string, ulong> Epochs { get; init; } = [];
}

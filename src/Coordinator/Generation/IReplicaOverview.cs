namespace LlamaCluster.Coordinator.Generation;

/// <summary>Who serves the model, for people and tools.</summary>
public interface IReplicaOverview
{
    /// <summary>This coordinator's own replica first, then the others by name.</summary>
    IReadOnlyList<ReplicaSummary> Replicas { get; }
}

/// <summary>A replica, as this coordinator sees it now.</summary>
/// <param name="Id">Its name.</param>
/// <param name="Epoch">Of the coordinator that owns it; it grows with each owner.</param>
/// <param name="Address">Where other coordinators reach it; null: nowhere.</param>
/// <param name="ApiAddress">Where clients do; null: here.</param>
/// <param name="IsOwn">It is this coordinator's.</param>
/// <param name="State">ready, recovering, not_ready or unreachable.</param>
/// <param name="Reason">Why it is not ready, in one line; empty when it is.</param>
/// <param name="Running">Sequences that hold KV.</param>
/// <param name="Waiting">Sequences that wait for room.</param>
/// <param name="KvBlocks">In all; 0: not known.</param>
/// <param name="KvBlocksFree">That no sequence holds.</param>
public sealed record ReplicaSummary(
    string Id, ulong Epoch, string? Address, string? ApiAddress, bool IsOwn, string State, string Reason, ulong ViewVersion,
    int Running, int Waiting, int KvBlocks, int KvBlocksFree)
{
    public const string Ready = "ready";
    public const string Recovering = "recovering";
    public const string NotReady = "not_ready";
    public const string Unreachable = "unreachable";

    public static string StateOf(EngineStatus status) => status.Ready ? Ready : status.IsRecovering ? Recovering : NotReady;
}

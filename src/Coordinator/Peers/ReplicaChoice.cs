namespace LlamaCluster.Coordinator.Peers;

/// <summary>What is known of a replica when a request looks for one.</summary>
/// <param name="IsOwn">It is this coordinator's.</param>
/// <param name="Known">Positions of the request's prompt whose KV it is known to have.</param>
readonly record struct ReplicaCandidate(IReplica Replica, bool IsOwn, int Known);

/// <summary>
/// Which replica gets a request: the one that is expected to come to its first token soonest. Everything is counted in prompt positions to be computed, so that
/// KV that is there and load weigh against each other: a session goes where its KV is, unless far more waits there. Pure.
/// </summary>
static class ReplicaChoice
{
    /// <summary>A sequence that waits there is taken for a prompt of so many positions.</summary>
    public const int Waiting = 256;

    /// <summary>A sequence that runs there takes its row of every step.</summary>
    public const int Running = 32;

    /// <summary>The way to another coordinator and back. It keeps requests where they came in while all else is nearly equal.</summary>
    public const int Hop = 64;

    /// <summary>KV that is full makes others give up theirs.</summary>
    public const int FullKv = 512;

    /// <summary>Those that take sequences, the best first. Those that wait for workers come last.</summary>
    /// <param name="length">Positions of the prompt.</param>
    public static IEnumerable<IReplica> Order(IEnumerable<ReplicaCandidate> candidates, int length) =>
        from candidate in candidates
        where candidate.Replica.Status is { Ready: true } or { IsRecovering: true }
        orderby candidate.Replica.Status.Ready descending, CostOf(candidate, length), candidate.IsOwn descending, candidate.Replica.Name
        select candidate.Replica;

    /// <summary>Prompt positions that the request would wait for there.</summary>
    public static int CostOf(ReplicaCandidate candidate, int length)
    {
        var use = candidate.Replica.Use;
        var needed = length - Math.Min(candidate.Known, length - 1);   // the last position is computed in any case
        var isFull = use.Blocks > 0 && use.FreeBlocks * Primitives.KvBlock.Positions < needed;
        return needed + Waiting * use.Waiting + Running * use.Running + (candidate.IsOwn ? 0 : Hop) + (isFull ? FullKv : 0);
    }
}

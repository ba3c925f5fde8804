using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>KV that workers of a view got from workers that had their layers.</summary>
/// <param name="Blocks">In some layers; of each worker it came from anew.</param>
/// <param name="Missing">That sequences wait for, and that did not come.</param>
public readonly record struct MovedKv(long Blocks, long Missing, long Bytes)
{
    public static MovedKv operator +(MovedKv one, MovedKv other) => new(one.Blocks + other.Blocks, one.Missing + other.Missing, one.Bytes + other.Bytes);
}

/// <summary>A worker that has KV of layers which another one has from now on.</summary>
/// <param name="To">The other one.</param>
sealed record KvMove(Member From, WorkerId To, LayerRange Layers);

/// <summary>
/// KV that travels from worker to worker instead of being computed again: of layers that another worker has in the next view than in the last one, if the
/// one that had them still lives. It does not have to be in the next view: one that leaves has only been waiting for this.
/// </summary>
/// <param name="Blocks">What is worth the way.</param>
/// <param name="Time">All of it may take so long: sequences wait.</param>
sealed record KvMoves(IReadOnlyList<KvMove> All, FullBlocks Blocks, TimeSpan Time)
{
    public static KvMoves None { get; } = new([], FullBlocks.None, TimeSpan.Zero);

    /// <param name="last">The plan of the last view that served.</param>
    /// <returns>Nothing is here of workers that may be frozen, and where the slice is another one the numbers are, too.</returns>
    public static IReadOnlyList<KvMove> Between(ClusterPlan last, ClusterPlan next, MembershipSnapshot now) =>
    [
        .. from part in next.Assignments
           from old in last.Assignments
           where old.Worker != part.Worker && old.Shard.Slice == part.Shard.Slice
           let layers = Both(old.Shard.Layers, part.Shard.Layers)
           where layers.Count > 0 && now.FindPresent(old.Worker) is { IsSuspected: false }
           select new KvMove(now.FindPresent(old.Worker)!, part.Worker, layers),
    ];

    public IEnumerable<KvSource> SourcesOf(WorkerId worker) => All.Where(move => move.To == worker).Select(move => new KvSource
    {
        WorkerId = move.From.Id.Value,
        Address = PeerAddress.Format(move.From.Address),
        Key = move.From.Key.For(PeerKey.KvTransfer).ToMessage(),
        FirstLayer = (uint)move.Layers.First,
        LayerCount = (uint)move.Layers.Count,
    });

    public bool IsSource(WorkerId worker) => All.Any(move => move.From.Id == worker);

    static LayerRange Both(LayerRange one, LayerRange other)
    {
        var first = Math.Max(one.First, other.First);
        return new LayerRange(first, Math.Max(0, Math.Min(one.End, other.End) - first));
    }
}

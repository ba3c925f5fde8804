using System.Collections.Immutable;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Coordinator.Supervision;

public enum ClusterPhase
{
    /// <summary>For workers, for memory, or for the end of a pause after a failure.</summary>
    Waiting,

    /// <summary>Workers load their shards.</summary>
    Loading,

    Ready,

    /// <summary>A worker wants to leave: what runs may finish, nothing new is taken.</summary>
    Draining,

    Stopping,
}

/// <summary>How far the cluster is, at one moment. Immutable.</summary>
/// <param name="Reason">One line for people: what it waits for, and what went wrong before; empty when ready.</param>
/// <param name="Shards">In stage order, then rank order; empty while nothing is assigned.</param>
public sealed record ClusterStatus(ClusterPhase Phase, ulong ViewVersion, string Reason, ImmutableArray<ShardProgress> Shards)
{
    public static ClusterStatus Starting { get; } = new(ClusterPhase.Waiting, 0, "the coordinator is starting", []);

    /// <summary>What went wrong last and is not made good yet, in one line; empty if nothing.</summary>
    public string Trouble { get; init; } = "";

    /// <summary>
    /// The workers that are here, so many, can never serve the model; <see cref="Trouble"/> says why. Only others can change that. Null: they may.
    /// </summary>
    public int? TooFewWorkers { get; init; }

    /// <summary>What is served, and what was expected of it; null until it is.</summary>
    public PlanOutcome.Planned? Plan { get; init; }

    public WorkerCounts Workers { get; init; } = new(0, 0, 0, 0, 0);

    public bool IsReady => Phase == ClusterPhase.Ready;
}

/// <summary>How far a worker is with loading its shard.</summary>
/// <param name="WorkerName">For people.</param>
/// <param name="BytesTotal">0 while unknown.</param>
/// <param name="Source">Where the weights come from: "local PATH", "cache PATH", "coordinator", "peers" or "hub HOST"; empty while unknown.</param>
public sealed record ShardProgress(
    WorkerId Worker, string WorkerName, Uri Address, int Stage, Shard Shard, LoadProgress.Types.Phase Phase, long BytesDone, long BytesTotal, string Source)
{
    /// <summary>Bytes of one KV block over all layers of the shard; 0 until it is ready.</summary>
    public long KvBlockBytes { get; init; }

    /// <summary>Since the phase began; 0 while unknown.</summary>
    public double BytesPerSecond { get; init; }

    /// <summary>To the end of the phase, if it goes on as it did. Null while unknown.</summary>
    public double? SecondsLeft => BytesPerSecond > 0 && BytesTotal > 0 ? Math.Max(0, BytesTotal - BytesDone) / BytesPerSecond : null;

    /// <summary>0 to 1.</summary>
    public double Fraction => Phase == LoadProgress.Types.Phase.Ready ? 1 : BytesTotal <= 0 ? 0 : Math.Clamp((double)BytesDone / BytesTotal, 0, 1);
}

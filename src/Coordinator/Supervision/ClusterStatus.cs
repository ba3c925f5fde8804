using System.Collections.Immutable;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Planning;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>How far the cluster is, at one moment. Immutable.</summary>
/// <param name="Reason">One line for people: what it waits for, and what went wrong before; empty when ready.</param>
/// <param name="Shards">In stage order, then rank order; empty while nothing is assigned.</param>
public sealed record ClusterStatus(ClusterPhase Phase, ulong ViewVersion, string Reason, ImmutableArray<ShardProgress> Shards)
{
    public static ClusterStatus Starting { get; } = new(ClusterPhase.Waiting, 0, "the coordinator is starting", []);

    /// <summary>What went wrong last and is not made good yet, in one line; empty if nothing.</summary>
    public string Trouble { get; init; } = "";

    /// <summary>What is served, and what was expected of it; null until it is.</summary>
    public PlanOutcome.Planned? Plan { get; init; }

    public bool IsReady => Phase == ClusterPhase.Ready;

    public EngineStatus ToEngineStatus() => new(IsReady, Reason, ViewVersion);
}

using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning;

/// <summary>What a plan is asked for.</summary>
/// <param name="ViewVersion">Above all before it.</param>
/// <param name="Workers">In the order in which they get stages, where nothing else speaks for another.</param>
/// <param name="TensorParallel">Workers per stage; null: as the planner finds best.</param>
/// <param name="BufferBytes">What a worker needs beside weights and KV cache.</param>
/// <param name="KvBlocks">KV blocks wanted.</param>
/// <param name="MinKvBlocks">A split that leaves room for fewer is none.</param>
public sealed record PlanRequest(
    ulong ViewVersion, ModelIdentity Model, ModelFootprint Footprint, IReadOnlyList<CandidateWorker> Workers, int? TensorParallel, long BufferBytes,
    int KvBlocks, int MinKvBlocks)
{
    /// <summary>Between hosts; see <see cref="MeasuredCluster"/>.</summary>
    public IReadOnlyDictionary<(string, string), Link> Links { get; init; } = new Dictionary<(string, string), Link>();

    /// <summary>Positions of a stream at the most; null: as many as the model was made for. Predictions are for half of them.</summary>
    public int? Context { get; init; }

    public PlanObjective Objective { get; init; } = PlanObjective.Throughput;

    /// <summary>Streams that the plan is to be good for.</summary>
    public int Streams { get; init; } = 8;
}

using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>How far a worker is with loading its shard.</summary>
/// <param name="WorkerName">For people.</param>
/// <param name="BytesTotal">0 while unknown.</param>
/// <param name="Source">Where the weights come from: "local PATH", "cache PATH" or "coordinator"; empty while unknown.</param>
public sealed record ShardProgress(
    WorkerId Worker, string WorkerName, Uri Address, int Stage, Shard Shard, LoadProgress.Types.Phase Phase, long BytesDone, long BytesTotal, string Source)
{
    /// <summary>Bytes of one KV block over all layers of the shard; 0 until it is ready.</summary>
    public long KvBlockBytes { get; init; }

    /// <summary>0 to 1.</summary>
    public double Fraction => Phase == LoadProgress.Types.Phase.Ready ? 1 : BytesTotal <= 0 ? 0 : Math.Clamp((double)BytesDone / BytesTotal, 0, 1);
}

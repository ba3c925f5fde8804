using LlamaCluster.Cluster.Plans;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Inference;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Loading;

/// <summary>What the coordinator wants this worker to hold: an AssignRequest that was checked.</summary>
/// <param name="Assignment">This worker's part of the plan.</param>
/// <param name="ModelPath">Where the coordinator has the model; it may not exist on this machine. Null: not said.</param>
/// <param name="WeightsAddress">Who streams the weights; null: the coordinator this worker is registered with.</param>
/// <param name="KvBlockCount">Null: as many as memory allows.</param>
sealed record LoadOrder(
    ClusterPlan Plan,
    ShardAssignment Assignment,
    string? ModelPath,
    Uri? WeightsAddress,
    int? KvBlockCount,
    KvType KvType,
    int MaxStepRows,
    int MaxSequenceLength,
    Wire.ActivationType ActivationType)
{
    public StageShape Shape { get; } = new(Assignment.Shard.Layers.First, Assignment.Shard.Layers.Count, Plan.LayerCount);

    /// <summary>The worker that takes this one's activations; null on the last stage.</summary>
    public ShardAssignment? Next => Assignment.Stage + 1 < Plan.StageCount ? Plan.Ranks(Assignment.Stage + 1)[0] : null;
}

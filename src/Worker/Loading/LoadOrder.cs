using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Planning.Plans;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Loading;

/// <summary>What the coordinator wants this worker to hold: an AssignRequest that was checked.</summary>
/// <param name="Assignment">This worker's part of the plan.</param>
/// <param name="ModelPath">Where the coordinator has the model; it may not exist on this machine. Null: not said.</param>
/// <param name="WeightsAddress">Who streams the weights; null: the coordinator this worker is registered with.</param>
/// <param name="KvBlockCount">Null: as many as memory allows.</param>
/// <param name="ActivationType">How activations travel to the next stage.</param>
/// <param name="SumType">How partial sums travel between the ranks of a stage.</param>
sealed record LoadOrder(
    ClusterPlan Plan,
    ShardAssignment Assignment,
    string? ModelPath,
    Uri? WeightsAddress,
    int? KvBlockCount,
    KvType KvType,
    int MaxStepRows,
    int MaxSequenceLength,
    Wire.ActivationType ActivationType,
    Wire.ActivationType SumType)
{
    /// <summary>What the coordinator grants the steps of other stages. Default: nothing is said.</summary>
    public TimeSpan StepTimeout { get; init; }

    public StageShape Shape { get; } = new(Assignment.Shard.Layers.First, Assignment.Shard.Layers.Count, Plan.LayerCount);

    /// <summary>
    /// The workers that take this one's activations. All ranks of a stage hold the same ones, so each rank r of n feeds the ranks r, r + n,
    /// r + 2n... of the next stage: nothing travels twice to anybody.
    /// </summary>
    public IEnumerable<ShardAssignment> Next
    {
        get
        {
            var stage = Assignment.Stage + 1;
            var (rank, ranks) = (Assignment.Shard.Slice.Rank, Assignment.Shard.Slice.RankCount);
            return stage == Plan.StageCount ? [] : [.. Plan.Ranks(stage).ToArray().Where(next => next.Shard.Slice.Rank % ranks == rank)];
        }
    }
}

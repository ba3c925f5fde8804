using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Cli.Bench;

/// <summary>What a stage of a cluster consists of.</summary>
/// <param name="WeightBytes">Stored weights that are read for a step, by all ranks together.</param>
/// <param name="LayerBytes">Of these, one layer's, in the mean.</param>
/// <param name="KvBlockBytes">What one KV block takes in all its layers, of all ranks together: as they say of their pools.</param>
sealed record StageFacts(LayerRange Layers, int Ranks, long WeightBytes, double LayerBytes, long KvBlockBytes)
{
    /// <summary>In stage order.</summary>
    /// <param name="shards">All of a view, ready.</param>
    public static IReadOnlyList<StageFacts> Of(IEnumerable<ShardProgress> shards, IModelWeights weights) =>
        [.. shards.GroupBy(shard => shard.Stage).OrderBy(stage => stage.Key).Select(stage => Of([.. stage], weights))];

    static StageFacts Of(IReadOnlyList<ShardProgress> ranks, IModelWeights weights)
    {
        var layers = ranks[0].Shard.Layers;
        var shape = new StageShape(layers.First, layers.Count, weights.Config.LayerCount);
        return new StageFacts(
            layers, ranks.Count, BenchWeightBytes.PerStep(weights, shape), (double)BenchWeightBytes.OfLayers(weights, shape) / layers.Count, ranks.Sum(rank => rank.KvBlockBytes));
    }
}

using LlamaCluster.Cluster.Plans;
using LlamaCluster.Model.Config;

namespace LlamaCluster.Coordinator.Planning.Costs;

/// <summary>What a rank has of each part of a model, 0 to 1.</summary>
/// <param name="Attention">Of Q, K, V and O together.</param>
/// <param name="Kv">Of the KV cache.</param>
public readonly record struct RankFractions(double Attention, double Kv, double FeedForward, double Vocabulary)
{
    public static RankFractions Of(RankSlice slice, LlamaConfig config)
    {
        var (heads, kvHeads) = ((double)config.HeadCount, (double)config.KvHeadCount);
        return new RankFractions(
            (slice.Heads.Count + slice.KvHeads.Count) / (heads + kvHeads),
            slice.KvHeads.Count / kvHeads,
            (double)slice.Ffn.Count / config.FfnSize,
            (double)slice.Vocabulary.Count / config.VocabularySize);
    }
}

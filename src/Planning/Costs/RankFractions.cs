using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Planning.Costs;

/// <summary>What a rank has of each part of a model, 0 to 1.</summary>
/// <param name="Attention">Of Q, K, V and O together.</param>
/// <param name="Kv">Of the KV cache.</param>
public readonly record struct RankFractions(double Attention, double Kv, double FeedForward, double Vocabulary)
{
    public static RankFractions Of(RankSlice slice, ModelSizes model)
    {
        var (heads, kvHeads) = ((double)model.HeadCount, (double)model.KvHeadCount);
        return new RankFractions(
            (slice.Heads.Count + slice.KvHeads.Count) / (heads + kvHeads),
            slice.KvHeads.Count / kvHeads,
            (double)slice.Ffn.Count / model.FfnSize,
            (double)slice.Vocabulary.Count / model.VocabularySize);
    }
}

using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>Slices of a tensor group, given by where each begins.</summary>
static class TestSlices
{
    /// <param name="heads">The first query head of each rank.</param>
    /// <param name="ffn">Its first feed-forward column.</param>
    /// <param name="vocabulary">Its first row of the head.</param>
    /// <param name="experts">Its first column of every expert; needed where the model has some.</param>
    public static StageSlice[] Cut(LlamaConfig config, int[] heads, int[] ffn, int[] vocabulary, int[]? experts = null)
    {
        var group = config.HeadCount / config.KvHeadCount;
        return [.. heads.Select((_, rank) =>
        {
            var own = Range(heads, rank, config.HeadCount);
            return new StageSlice
            {
                Rank = rank,
                RankCount = heads.Length,
                Heads = own,
                KvHeads = new IndexRange(own.First / group, ((own.End - 1) / group) + 1 - (own.First / group)),
                Ffn = Range(ffn, rank, config.FfnSize),
                HeadUnit = heads.Aggregate(GreatestDivisor),
                FfnUnit = ffn.Aggregate(GreatestDivisor),
                ExpertFfn = experts is null ? default : Range(experts, rank, config.Experts!.FfnSize),
                ExpertFfnUnit = experts?.Aggregate(GreatestDivisor) ?? 0,
                Vocabulary = Range(vocabulary, rank, config.VocabularySize),
            };
        })];
    }

    static int GreatestDivisor(int a, int b) => b == 0 ? a : GreatestDivisor(b, a % b);

    static IndexRange Range(int[] starts, int rank, int total) => new(starts[rank], (rank + 1 < starts.Length ? starts[rank + 1] : total) - starts[rank]);
}

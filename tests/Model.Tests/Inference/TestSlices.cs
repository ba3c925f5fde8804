using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>Slices of a tensor group, given by where each begins.</summary>
static class TestSlices
{
    /// <param name="heads">The first query head of each rank, in a layer of as many as any has. In others, and in attention's place, it is as far on.</param>
    /// <param name="ffn">Its first feed-forward column, in a layer as wide as any.</param>
    /// <param name="vocabulary">Its first row of the head.</param>
    /// <param name="experts">Its first column of every expert; needed where the model has some, unless they are whole and there is no shared one.</param>
    /// <param name="whole">The first expert that it has whole; null: all ranks have columns of all. The shared expert is cut by columns either way.</param>
    public static StageSlice[] Cut(LlamaConfig config, int[] heads, int[] ffn, int[] vocabulary, int[]? experts = null, int[]? whole = null)
    {
        return [.. heads.Select((_, rank) => new StageSlice
        {
            Rank = rank,
            RankCount = heads.Length,
            Layers = config.SizesIn(0, config.LayerCount).ToDictionary(sizes => sizes, sizes => LayerOf(sizes, rank)),
            Experts = whole is null ? new(0, config.Experts?.Count ?? 0) : Range(whole, rank, config.Experts!.Count),
            ExpertFfn = whole is not null ? new(0, config.Experts!.FfnSize) : experts is null ? default : Range(experts, rank, config.Experts!.FfnSize),
            ExpertFfnUnit = whole is null ? experts?.Aggregate(GreatestDivisor) ?? 0 : 0,
            SharedExpertFfn = config.Experts is { HasShared: true } mixture ? Range(experts!, rank, mixture.FfnSize) : default,
            SharedExpertFfnUnit = config.Experts is { HasShared: true } ? experts!.Aggregate(GreatestDivisor) : 0,
            Vocabulary = Range(vocabulary, rank, config.VocabularySize),
        })];

        LayerSlice LayerOf(LayerSizes sizes, int rank)
        {
            var itsHeads = Scaled(heads, config.HeadCount, sizes.HasAttention ? sizes.HeadCount : 0);
            var linear = Scaled(heads, config.HeadCount, sizes.IsLinear ? config.HiddenSize : 0);
            var itsFfn = Scaled(ffn, config.FfnSize, sizes.FfnSize);
            var own = sizes.HasAttention ? Range(itsHeads, rank, sizes.HeadCount) : default;
            return new LayerSlice
            {
                Heads = own,
                KvHeads = sizes.HasAttention ? new IndexRange(own.First / sizes.Group, ((own.End - 1) / sizes.Group) + 1 - (own.First / sizes.Group)) : default,
                Linear = sizes.IsLinear ? Range(linear, rank, config.HiddenSize) : default,
                Ffn = sizes.HasFeedForward ? Range(itsFfn, rank, sizes.FfnSize) : default,
                HeadUnit = itsHeads.Aggregate(GreatestDivisor),
                LinearUnit = linear.Aggregate(GreatestDivisor),
                FfnUnit = itsFfn.Aggregate(GreatestDivisor),
            };
        }
    }

    static int[] Scaled(int[] starts, int of, int to) => [.. starts.Select(start => start * to / of)];

    static int GreatestDivisor(int a, int b) => b == 0 ? a : GreatestDivisor(b, a % b);

    static IndexRange Range(int[] starts, int rank, int total) => new(starts[rank], (rank + 1 < starts.Length ? starts[rank + 1] : total) - starts[rank]);
}

using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sampling;

/// <summary>Changes scores by what has been said already and by the request's own wishes, in this order.</summary>
static class Penalties
{
    /// <summary>
    /// The repetition penalty divides positive scores and multiplies negative ones (https://arxiv.org/abs/1909.05858) of all tokens in
    /// prompt and output; frequency and presence penalties are subtracted for those in the output; then biases are added.
    /// </summary>
    /// <param name="firstId">The id of the first score; ids without a score are another rank's.</param>
    public static void Apply(SamplingOptions options, TokenHistory? history, Span<float> scores, int firstId)
    {
        if (history is not null)
        {
            foreach (var (id, use) in history.Uses)
            {
                if ((uint)(id - firstId) >= (uint)scores.Length) continue;
                var score = scores[id - firstId];
                score = score > 0 ? score / options.RepetitionPenalty : score * options.RepetitionPenalty;
                if (use.Generated > 0) score -= (use.Generated * options.FrequencyPenalty) + options.PresencePenalty;
                scores[id - firstId] = score;
            }
        }
        foreach (var (id, bias) in options.LogitBias)
            if ((uint)(id - firstId) < (uint)scores.Length) scores[id - firstId] += bias;
    }
}

/// <summary>Which ids may be sampled: bit <c>id % 8</c> of byte <c>id / 8</c>.</summary>
static class TokenMask
{
    /// <summary>64-bit words of a mask.</summary>
    public static int Words(int vocabularySize) => (vocabularySize + 63) / 64;

    /// <summary>Whether an id other than these is allowed.</summary>
    public static bool AllowsAnyBut(IReadOnlyList<int> ids, ReadOnlySpan<ulong> mask)
    {
        var count = 0L;
        foreach (var word in mask) count += long.PopCount((long)word);
        for (var i = 0; i < ids.Count; i++) count -= (long)(mask[ids[i] / 64] >> ids[i] & 1);
        return count > 0;
    }

    public static void Forbid(IReadOnlyList<int> ids, Span<byte> mask)
    {
        for (var i = 0; i < ids.Count; i++) mask[ids[i] / 8] &= (byte)~(1 << (ids[i] % 8));
    }

    /// <summary>Scores of other ids become -infinity.</summary>
    public static void Apply(ReadOnlySpan<byte> mask, Span<float> scores)
    {
        for (var first = 0; first < scores.Length; first += 8)
        {
            int bits = mask[first / 8];
            var eight = scores[first..Math.Min(first + 8, scores.Length)];
            if (bits == 0) eight.Fill(float.NegativeInfinity);
            else if (bits != 0xFF)
                for (var i = 0; i < eight.Length; i++)
                    if ((bits >> i & 1) == 0) eight[i] = float.NegativeInfinity;
        }
    }
}

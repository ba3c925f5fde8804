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

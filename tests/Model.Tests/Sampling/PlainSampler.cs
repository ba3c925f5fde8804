using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Sampling;

/// <summary>Sampling as the texts say it, with full sorts and double precision: which ids remain, and how probable each is.</summary>
static class PlainSampler
{
    /// <summary>Scores after penalties, bias and mask.</summary>
    public static double[] Scores(float[] logits, SamplingOptions options, int[] prompt, int[] output, Func<int, bool>? allowed = null)
    {
        var scores = logits.Select(l => (double)l).ToArray();
        foreach (var id in prompt.Concat(output).Distinct())
            scores[id] = scores[id] > 0 ? scores[id] / options.RepetitionPenalty : scores[id] * options.RepetitionPenalty;
        foreach (var uses in output.GroupBy(id => id))
            scores[uses.Key] -= (uses.Count() * options.FrequencyPenalty) + options.PresencePenalty;
        foreach (var (id, bias) in options.LogitBias) scores[id] += bias;
        return [.. scores.Select((s, id) => allowed is null || allowed(id) ? s : double.NegativeInfinity)];
    }

    /// <summary>Ids that remain after temperature, min_p, top_k and top_p, most probable first, with probabilities that sum to 1.</summary>
    public static (int Id, double Probability)[] Distribution(double[] scores, SamplingOptions options)
    {
        var max = scores.Max();
        var candidates = Normalised(
            scores.Select((s, id) => (id, Math.Exp((s - max) / options.Temperature))).OrderByDescending(c => c.Item2).ThenBy(c => c.id));
        candidates = Normalised(candidates.Where(c => c.Probability >= options.MinP * candidates[0].Probability));
        if (options.TopK > 0) candidates = Normalised(candidates.Take(options.TopK));
        if (options.TopP < 1)
        {
            var sum = 0.0;
            candidates = Normalised(candidates.TakeWhile(c => (sum += c.Probability) - c.Probability < options.TopP));
        }
        return [.. candidates.Where(c => c.Probability > 0)];
    }

    static (int Id, double Probability)[] Normalised(IEnumerable<(int Id, double Weight)> candidates)
    {
        var all = candidates.ToArray();
        var sum = all.Sum(c => c.Weight);
        return [.. all.Select(c => (c.Id, c.Weight / sum))];
    }
}

using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sampling;

/// <summary>
/// Chooses tokens from what all ranks say about their ids (<see cref="RankScores"/>). What happens, in order:
/// <list type="number">
/// <item>log-probabilities to report: the log-softmax of the logits as the model gave them, as OpenAI and vLLM (raw_logprobs) do;</item>
/// <item>repetition, frequency and presence penalties, then logit_bias, then the token mask (<see cref="Penalties"/>, <see cref="TokenMask"/>);</item>
/// <item>if greedy (temperature below 1e-5): the greatest score, of equal ones the lowest id;</item>
/// <item>otherwise temperature, min_p, top_k, top_p (<see cref="ScoreFilter"/>), and a draw with the random number of seed and position. Where
/// nothing is filtered, the draw takes all ids in their order, and the rank with the id at the drawn point names it (<see cref="FindDrawn"/>).</item>
/// </list>
/// Holds buffers of the vocabulary's size; one caller at a time.
/// </summary>
/// <param name="maxVocabulary">The greatest that rows are of.</param>
sealed class Sampler(int maxVocabulary, int rankCount, int maxRows)
{
    readonly ScoreFilter _filter = new(maxVocabulary);
    readonly List<ScoredId> _top = [];

    /// <summary>What each rank says about its ids.</summary>
    public ScoreTable[] Scores { get; } = [.. Enumerable.Range(0, rankCount).Select(rank => new ScoreTable(rank, maxRows, maxVocabulary))];

    /// <summary>Whether the row draws from all ids, unfiltered. The rank that has the drawn id finds it.</summary>
    public static bool DrawsFromAll(SamplingOptions options) => !options.IsGreedy && !ScoreFilter.IsNeeded(options);

    /// <summary>
    /// The index at which the sum of the weights exceeds <paramref name="limit"/>; if rounding keeps it below, the last weight that is not 0.
    /// </summary>
    public static int IndexAt(ReadOnlySpan<float> weights, double limit)
    {
        var sum = 0.0;
        for (var i = 0; i < weights.Length; i++)
        {
            sum += weights[i];
            if (sum > limit) return i;
        }
        return weights.LastIndexOfAnyExcept(0f);
    }

    /// <summary>Whether all ranks' logits are finite.</summary>
    public bool IsFinite(int row)
    {
        for (var rank = 0; rank < rankCount; rank++)
            if (float.IsNaN(Scores[rank][row].MaxLogit)) return false;
        return true;
    }

    /// <summary>Finds the rank that has the drawn id, and the point within that rank's weights. Gives the same bits on every rank.</summary>
    /// <param name="position">Position of the token to choose.</param>
    public (int Rank, double Point) FindDrawn(int row, SamplingOptions options, int position)
    {
        var max = MaxScore(row);
        var rest = CounterRandom.Next(options.Seed, position) * ScoreSum(row, max, options.Temperature);
        var last = 0;
        for (var rank = 0; rank < rankCount; rank++)
        {
            var scale = Weight(Scores[rank][row].MaxScore, max, options.Temperature);
            var own = scale * (double)Scores[rank][row].ScoreSum;
            if (own > rest) return (rank, rest / scale);
            rest -= own;
            if (own > 0) last = rank;
        }
        return (last, double.PositiveInfinity); // the sum over all was rounded up
    }

    /// <param name="drawn">What the rank that <see cref="FindDrawn"/> names has found, if the row draws from all ids.</param>
    /// <param name="position">Position of the token to choose.</param>
    /// <param name="vocabularySize">V of the row.</param>
    public SampledToken Sample(int row, SamplingOptions options, ScoredId drawn, int position, int vocabularySize)
    {
        var chosen = options.IsGreedy ? Best(row)
            : DrawsFromAll(options) ? drawn
            : Draw(row, options, CounterRandom.Next(options.Seed, position), vocabularySize);
        return options.TopLogprobs is { } top ? Report(row, chosen, top) : new SampledToken(chosen.Id, float.NaN, []);
    }

    /// <summary>The log-probability of a token that is known.</summary>
    public SampledToken Score(int row, int topLogprobs)
    {
        for (var rank = 0; rank < rankCount; rank++)
            if (Scores[rank][row].Chosen is { Id: >= 0 } known) return Report(row, known, topLogprobs);
        throw new InvalidOperationException("no rank has the token's id");
    }

    ScoredId Best(int row)
    {
        var best = ScoredId.None;
        for (var rank = 0; rank < rankCount; rank++)
            if (Scores[rank][row].Chosen is var chosen && chosen.Score > best.Score) best = chosen;
        return best;
    }

    ScoredId Draw(int row, SamplingOptions options, double random, int vocabularySize)
    {
        var max = MaxScore(row);
        _filter.Apply(
            Scores, row, max, ScoreFilter.NeedsSum(options, vocabularySize) ? ScoreSum(row, max, options.Temperature) : double.NaN, options, vocabularySize);
        var id = _filter.Id(IndexAt(_filter.Weights, random * Sum(_filter.Weights)));
        for (var rank = 0; rank < rankCount; rank++)
            foreach (var candidate in Scores[rank].Candidates(row))
                if (candidate.Id == id) return candidate;
        throw new InvalidOperationException($"id {id} was drawn, but is no candidate");
    }

    SampledToken Report(int row, ScoredId chosen, int count)
    {
        var logSum = LogSum(row);
        _top.Clear();
        for (var rank = 0; rank < rankCount; rank++) _top.AddRange(Scores[rank].Top(row));
        _top.Sort((a, b) => a.Logit != b.Logit ? b.Logit.CompareTo(a.Logit) : a.Id.CompareTo(b.Id));
        var top = new TokenLogprob[Math.Min(count, _top.Count)];
        for (var i = 0; i < top.Length; i++) top[i] = new(_top[i].Id, (float)(_top[i].Logit - logSum));
        return new SampledToken(chosen.Id, (float)(chosen.Logit - logSum), top);
    }

    /// <summary>The logarithm of the sum of e^logit over all ids.</summary>
    double LogSum(int row)
    {
        var max = float.NegativeInfinity;
        for (var rank = 0; rank < rankCount; rank++) max = MathF.Max(max, Scores[rank][row].MaxLogit);
        var sum = 0.0;
        for (var rank = 0; rank < rankCount; rank++) sum += Math.Exp(Scores[rank][row].MaxLogit - max) * Scores[rank][row].LogitSum;
        return max + Math.Log(sum);
    }

    float MaxScore(int row)
    {
        var max = float.NegativeInfinity;
        for (var rank = 0; rank < rankCount; rank++) max = MathF.Max(max, Scores[rank][row].MaxScore);
        return max;
    }

    /// <summary>The sum of e^((score - max) / temperature) over all ids.</summary>
    double ScoreSum(int row, float max, float temperature)
    {
        var sum = 0.0;
        for (var rank = 0; rank < rankCount; rank++)
            sum += Weight(Scores[rank][row].MaxScore, max, temperature) * (double)Scores[rank][row].ScoreSum;
        return sum;
    }

    /// <summary>e^((score - max) / temperature), by the kernels, whose bits are the same on every machine.</summary>
    static float Weight(float score, float max, float temperature)
    {
        Span<float> weight = [score];
        return float.IsNegativeInfinity(score) ? 0 : Softmax.Exp(weight, max, 1 / temperature, weight);
    }

    static double Sum(ReadOnlySpan<float> weights)
    {
        var sum = 0.0;
        foreach (var weight in weights) sum += weight;
        return sum;
    }
}

/// <summary>
/// Random numbers without state: a hash of seed and position. The same seed and position give the same number on any worker,
/// in any order, before and after a recovery. The hash is SplitMix64's finaliser (https://prng.di.unimi.it/splitmix64.c), twice,
/// so that neighbouring seeds are as unlike as neighbouring positions.
/// </summary>
static class CounterRandom
{
    const ulong Golden = 0x9E3779B97F4A7C15;

    /// <summary>Evenly spread in [0, 1), 53 bits.</summary>
    public static double Next(ulong seed, int position) =>
        (Mix(Mix(seed + Golden) + (((ulong)position + 1) * Golden)) >> 11) * (1.0 / (1UL << 53));

    static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}

using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Model.Inference.Sampling;

/// <summary>
/// Chooses tokens from logits [V]. What happens, in order:
/// <list type="number">
/// <item>log-probabilities to report: the log-softmax of the logits as the model gave them, as OpenAI and vLLM (raw_logprobs) do;</item>
/// <item>repetition, frequency and presence penalties, then logit_bias, then the token mask (<see cref="Penalties"/>, <see cref="TokenMask"/>);</item>
/// <item>temperature below 1e-5: the greatest score, of equal ones the lowest id;</item>
/// <item>otherwise temperature, min_p, top_k, top_p (<see cref="ScoreFilter"/>), and a draw with the random number of seed and position.</item>
/// </list>
/// Holds buffers of the vocabulary's size; one caller at a time.
/// </summary>
sealed class Sampler(int vocabularySize)
{
    const float LeastTemperature = 1e-5f;
    const int DrawBlock = 256;

    readonly float[] _scores = new float[vocabularySize];
    readonly ScoreBlocks _blocks = new(vocabularySize);
    readonly ScoreFilter _filter = new(vocabularySize);
    readonly CandidateHeap _best = new(vocabularySize);

    /// <param name="history">The tokens before the one to choose; null where no penalty is on.</param>
    /// <param name="mask">Empty: all ids; else at least one is allowed.</param>
    /// <param name="position">Of the token to choose.</param>
    /// <returns>Null if the logits are not finite.</returns>
    public SampledToken? Sample(ReadOnlySpan<float> logits, SamplingOptions options, TokenHistory? history, ReadOnlySpan<byte> mask, int position)
    {
        var max = Softmax.MaxOfFinite(logits);
        if (float.IsNaN(max)) return null;

        var top = Best(logits, options.TopLogprobs ?? 0);
        var scores = logits;
        if (history is not null || options.LogitBias.Count > 0 || !mask.IsEmpty)
        {
            logits.CopyTo(_scores);
            Penalties.Apply(options, history, _scores);
            if (!mask.IsEmpty) TokenMask.Apply(mask, _scores);
            scores = _scores;
        }

        _blocks.Set(scores);
        var id = options.Temperature < LeastTemperature ? _blocks.ArgMax(scores) : Draw(scores, options, CounterRandom.Next(options.Seed, position));
        return options.TopLogprobs is null ? new SampledToken(id, float.NaN, []) : Report(logits, max, id, top);
    }

    /// <summary>The log-probability of a token that is known.</summary>
    /// <returns>Null if the logits are not finite.</returns>
    public SampledToken? Score(ReadOnlySpan<float> logits, int id, int topLogprobs)
    {
        var max = Softmax.MaxOfFinite(logits);
        return float.IsNaN(max) ? null : Report(logits, max, id, Best(logits, topLogprobs));
    }

    static SampledToken Report(ReadOnlySpan<float> logits, float max, int id, TokenLogprob[] top)
    {
        var logSum = max + Math.Log(Softmax.SumOfExp(logits, max));
        for (var i = 0; i < top.Length; i++) top[i] = new(top[i].Id, (float)(top[i].Logprob - logSum));
        return new SampledToken(id, (float)(logits[id] - logSum), top);
    }

    /// <summary>The ids with the greatest logits, best first, and still their logits.</summary>
    TokenLogprob[] Best(ReadOnlySpan<float> logits, int count)
    {
        if (count == 0) return [];
        count = Math.Min(count, logits.Length);
        _blocks.Set(logits);
        _best.Clear();
        _blocks.Collect(logits, _blocks.ReachedBy(count), _best);
        _best.Heapify();
        var best = new TokenLogprob[count];
        foreach (ref var token in best.AsSpan())
        {
            var (id, logit) = _best.RankNext();
            token = new(id, logit);
        }
        return best;
    }

    /// <param name="random">In [0, 1): how far to go through the probabilities.</param>
    int Draw(ReadOnlySpan<float> scores, SamplingOptions options, double random)
    {
        if (!ScoreFilter.IsNeeded(options)) return DrawFromAll(scores, options.Temperature, random);
        _filter.Apply(scores, _blocks, options);
        return _filter.Id(IndexAt(_filter.Weights, random * Sum(_filter.Weights)));
    }

    int DrawFromAll(ReadOnlySpan<float> scores, float temperature, double random)
    {
        // First which 256 ids, then which of them.
        var rest = random * Softmax.SumOfExp(scores, _blocks.Max, 1 / temperature);
        Span<float> weights = stackalloc float[DrawBlock];
        var last = 0;
        for (var first = 0; first < scores.Length; first += DrawBlock)
        {
            var block = scores[first..Math.Min(first + DrawBlock, scores.Length)];
            var ofBlock = weights[..block.Length];
            double sum = Softmax.Exp(block, _blocks.Max, 1 / temperature, ofBlock);
            if (sum > rest) return first + IndexAt(ofBlock, rest);
            rest -= sum;
            if (sum > 0) last = first + IndexAt(ofBlock, sum);
        }
        return last; // the sum over all was rounded up
    }

    /// <summary>Where the weights, added one by one, go beyond <paramref name="limit"/>; where rounding keeps them below it, the last that is not 0.</summary>
    static int IndexAt(ReadOnlySpan<float> weights, double limit)
    {
        var sum = 0.0;
        for (var i = 0; i < weights.Length; i++)
        {
            sum += weights[i];
            if (sum > limit) return i;
        }
        return weights.LastIndexOfAnyExcept(0f);
    }

    static double Sum(ReadOnlySpan<float> weights)
    {
        var sum = 0.0;
        foreach (var weight in weights) sum += weight;
        return sum;
    }
}

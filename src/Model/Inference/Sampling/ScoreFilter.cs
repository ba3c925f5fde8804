using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Model.Inference.Sampling;

/// <summary>
/// Which ids remain to be drawn from, and their weights, after temperature, min_p, top_k and top_p, in this order (vLLM's). Each filter works on
/// what the one before has left, with probabilities that sum to 1 there. Of equal scores the lower id comes first.
/// </summary>
sealed class ScoreFilter(int vocabularySize)
{
    /// <summary>top_p looks for its ids a little below where they must be, since the sum it reckons with is rounded.</summary>
    const float Slack = 1e-3f;

    readonly CandidateHeap _candidates = new(vocabularySize);
    readonly float[] _weights = new float[vocabularySize];

    public int Count { get; private set; }

    public int Id(int index) => Ranked ? _candidates.OfRank(index).Id : _candidates.Id(index);

    /// <summary>In proportion to probability; [Count].</summary>
    public ReadOnlySpan<float> Weights => _weights.AsSpan(0, Count);

    bool Ranked => _candidates.Ranked > 0;

    /// <summary>Whether any of the filters is on.</summary>
    public static bool IsNeeded(SamplingOptions options) => options is not { TopK: 0, TopP: 1, MinP: 0 };

    /// <param name="blocks">Set to the same scores.</param>
    public void Apply(ReadOnlySpan<float> scores, ScoreBlocks blocks, SamplingOptions options)
    {
        var (max, temperature) = (blocks.Max, options.Temperature);
        var floor = options.MinP > 0 ? max + (temperature * MathF.Log(options.MinP)) : float.NegativeInfinity;
        var topK = options.TopK > 0 && options.TopK < scores.Length ? options.TopK : 0;

        // What top_p's set can be made of: all others together have less than the 1 - p that is left out.
        var total = double.NaN;
        if (topK > 0) floor = MathF.Max(floor, blocks.ReachedBy(topK));
        else if (options.TopP < 1 && options.MinP == 0)
        {
            total = Softmax.SumOfExp(scores, max, 1 / temperature);
            floor = max + (temperature * (float)(Math.Log((1 - options.TopP) * total / scores.Length) - Slack));
        }

        _candidates.Clear();
        blocks.Collect(scores, floor, _candidates);
        if (topK > 0 || options.TopP < 1) _candidates.Heapify();

        if (topK > 0 && topK < _candidates.Count) total = Rank(topK, max, temperature);
        else if (options.TopP == 1 || double.IsNaN(total)) total = WeighAll(max, temperature);

        if (options.TopP < 1) KeepMostProbable(options.TopP * total, max, temperature);
    }

    /// <summary>Keeps the best ids.</summary>
    /// <returns>The sum of their weights.</returns>
    double Rank(int count, float max, float temperature)
    {
        for (Count = 0; Count < count; Count++) _weights[Count] = _candidates.RankNext().Score;
        return Softmax.Exp(Weights, max, 1 / temperature, _weights.AsSpan(0, Count));
    }

    /// <summary>Keeps all, not ranked.</summary>
    /// <returns>The sum of their weights.</returns>
    double WeighAll(float max, float temperature)
    {
        Count = _candidates.Count;
        return Softmax.Exp(_candidates.Scores, max, 1 / temperature, _weights.AsSpan(0, Count));
    }

    /// <summary>Keeps the best ids until their weights sum to <paramref name="enough"/>, of those ranked if there are any.</summary>
    void KeepMostProbable(double enough, float max, float temperature)
    {
        var limit = Ranked ? Count : _candidates.Count;
        var sum = 0.0;
        for (Count = 0; Count < limit && sum < enough; Count++)
        {
            if (Count == _candidates.Ranked)
            {
                _weights[Count] = _candidates.RankNext().Score;
                var weight = _weights.AsSpan(Count, 1);
                Softmax.Exp(weight, max, 1 / temperature, weight);
            }
            sum += _weights[Count];
        }
    }
}

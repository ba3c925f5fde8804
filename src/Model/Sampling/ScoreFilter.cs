using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sampling;

/// <summary>
/// Which ids remain to be drawn from, and their weights, after temperature, min_p, top_k and top_p, in this order (vLLM's). Each filter works on
/// what the one before has left, with probabilities that sum to 1 there. Of equal scores the lower id comes first.
/// </summary>
sealed class ScoreFilter(int vocabularySize)
{
    /// <summary>top_p looks for its ids a little below where they must be, since the sum it reckons with is rounded.</summary>
    const float Slack = 1e-3f;

    readonly ScoreHeap _candidates = new(vocabularySize);
    readonly float[] _weights = new float[vocabularySize];

    public int Count { get; private set; }

    public int Id(int index) => Ranked ? _candidates.OfRank(index).Id : _candidates.Id(index);

    /// <summary>In proportion to probability; [Count].</summary>
    public ReadOnlySpan<float> Weights => _weights.AsSpan(0, Count);

    bool Ranked => _candidates.Ranked > 0;

    /// <summary>Whether any of the filters is on.</summary>
    public static bool IsNeeded(SamplingOptions options) => options is not { TopK: 0, TopP: 1, MinP: 0 };

    /// <summary>Whether top_p reckons with the sum over all ids, or nothing is filtered and the draw does.</summary>
    public static bool NeedsSum(SamplingOptions options, int vocabularySize) =>
        !IsNeeded(options) || (options.TopP < 1 && options.MinP == 0 && TopK(options, vocabularySize) == 0);

    /// <summary>How many ids top_k leaves at the most; 0: all of them.</summary>
    public static int TopK(SamplingOptions options, int vocabularySize) => options.TopK < vocabularySize ? options.TopK : 0;

    /// <summary>
    /// A score that all ids reach which may remain when the ids of all ranks are put together. A rank's own greatest score and sum are not above
    /// those of all, and neither is what follows from them.
    /// </summary>
    /// <param name="blocks">Of a rank's scores.</param>
    /// <param name="sum">Of a rank's e^((score - greatest) / temperature), if it is needed.</param>
    /// <param name="vocabularySize">Of all ranks.</param>
    public static float Floor(SamplingOptions options, ScoreBlocks blocks, float sum, int vocabularySize)
    {
        var floor = MinPFloor(options, blocks.Max);
        var topK = TopK(options, vocabularySize);
        if (topK > 0) return MathF.Max(floor, blocks.ReachedBy(topK));
        // What top_p's set can be made of: all others together have less than the 1 - p that is left out.
        if (NeedsSum(options, vocabularySize))
            return blocks.Max + (options.Temperature * (float)(Math.Log((1 - options.TopP) * (double)sum / vocabularySize) - Slack));
        return floor;
    }

    /// <param name="max">The greatest score of all ranks.</param>
    /// <param name="sum">Of e^((score - max) / temperature) over all ids, if it is needed; else NaN.</param>
    public void Apply(ReadOnlySpan<ScoreTable> ranks, int row, float max, double sum, SamplingOptions options)
    {
        var floor = MinPFloor(options, max);
        _candidates.Clear();
        foreach (var scores in ranks)
            foreach (var candidate in scores.Candidates(row))
                if (candidate.Score >= floor) _candidates.Add(candidate.Id, candidate.Score);
        Keep(TopK(options, vocabularySize), max, sum, options);
    }

    void Keep(int topK, float max, double sum, SamplingOptions options)
    {
        var temperature = options.Temperature;
        if (topK > 0 || options.TopP < 1) _candidates.Heapify();

        if (topK > 0) sum = Rank(Math.Min(topK, _candidates.Count), max, temperature);
        else if (options.TopP == 1 || double.IsNaN(sum)) sum = WeighAll(max, temperature);

        if (options.TopP < 1) KeepMostProbable(options.TopP * sum, max, temperature);
    }

    static float MinPFloor(SamplingOptions options, float max) =>
        options.MinP > 0 ? max + (options.Temperature * MathF.Log(options.MinP)) : float.NegativeInfinity;

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

using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sampling;

/// <summary>
/// Narrows the ids down to those that may be drawn, and weighs them. Temperature, min_p, top_k and top_p apply in this order, as in vLLM. Each filter
/// works on what the one before has left, and takes the probabilities of the remaining ids to sum to 1. Among equal scores the lower id comes first.
/// </summary>
/// <param name="maxVocabulary">The most ids.</param>
sealed class ScoreFilter(int maxVocabulary)
{
    /// <summary>Lowers the score from which ids are collected for top_p. The sum behind that score is rounded, and no id may be missed.</summary>
    const float Slack = 1e-3f;

    readonly ScoreHeap _candidates = new(maxVocabulary);
    readonly float[] _weights = new float[maxVocabulary];

    /// <summary>How many ids remain.</summary>
    public int Count { get; private set; }

    /// <summary>The id that <see cref="Weights"/> has at this index.</summary>
    public int Id(int index) => Ranked ? _candidates.OfRank(index).Id : _candidates.Id(index);

    /// <summary>[Count] weights of the remaining ids, in proportion to their probabilities.</summary>
    public ReadOnlySpan<float> Weights => _weights.AsSpan(0, Count);

    bool Ranked => _candidates.Ranked > 0;

    /// <summary>Whether any of the filters is on.</summary>
    public static bool IsNeeded(SamplingOptions options) => options is not { TopK: 0, TopP: 1, MinP: 0 };

    /// <summary>
    /// Whether the sum of weights over all ids is needed: by top_p where no filter comes before it, or by the draw where nothing is filtered.
    /// </summary>
    public static bool NeedsSum(SamplingOptions options, int vocabularySize) =>
        !IsNeeded(options) || (options.TopP < 1 && options.MinP == 0 && TopK(options, vocabularySize) == 0);

    /// <summary>The most ids that top_k leaves; 0: it is off, or leaves them all.</summary>
    public static int TopK(SamplingOptions options, int vocabularySize) => options.TopK < vocabularySize ? options.TopK : 0;

    /// <summary>
    /// The score from which a rank must report its ids. Every id that the filters may keep, once the ids of all ranks are put together, has at least
    /// this score: the floor is computed from the rank's own greatest score and sum, which are not above those of all ranks.
    /// </summary>
    /// <param name="blocks">The rank's scores.</param>
    /// <param name="sum">The rank's sum of e^((score - greatest) / temperature), if it is needed.</param>
    /// <param name="vocabularySize">V of all ranks together.</param>
    public static float Floor(SamplingOptions options, ScoreBlocks blocks, float sum, int vocabularySize)
    {
        var floor = MinPFloor(options, blocks.Max);
        var topK = TopK(options, vocabularySize);
        if (topK > 0) return MathF.Max(floor, blocks.ReachedBy(topK));
        // An id below this score has less than (1 - p) / V of the sum. All such ids together have less than the 1 - p that top_p leaves out.
        if (NeedsSum(options, vocabularySize))
            return blocks.Max + (options.Temperature * (float)(Math.Log((1 - options.TopP) * (double)sum / vocabularySize) - Slack));
        return floor;
    }

    /// <summary>Filters the candidates of all ranks for one row.</summary>
    /// <param name="max">The greatest score of all ranks.</param>
    /// <param name="sum">The sum of e^((score - max) / temperature) over all ids, if it is needed; else NaN.</param>
    /// <param name="vocabularySize">V of the row.</param>
    public void Apply(ReadOnlySpan<ScoreTable> ranks, int row, float max, double sum, SamplingOptions options, int vocabularySize)
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

    /// <summary>Keeps all candidates, in the order they came.</summary>
    /// <returns>The sum of their weights.</returns>
    double WeighAll(float max, float temperature)
    {
        Count = _candidates.Count;
        return Softmax.Exp(_candidates.Scores, max, 1 / temperature, _weights.AsSpan(0, Count));
    }

    /// <summary>Keeps the best ids until their weights sum to <paramref name="enough"/>. If top_k has ranked ids, only those are considered.</summary>
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

using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sampling;

/// <summary>
/// Looks at the logits of one rank's ids, and puts into a <see cref="ScoreTable"/> what choosing a token takes: with the tables of all ranks, the same
/// token is chosen as by one rank that has all ids. Holds buffers of the size of the rank's vocabulary; one caller at a time.
/// </summary>
/// <param name="vocabularySize">V of all ranks together.</param>
/// <param name="own">The rank's ids.</param>
sealed class RankScores(int vocabularySize, IndexRange own)
{
    const int DrawBlock = 256;

    readonly float[] _scores = new float[own.Count];
    readonly ScoreBlocks _blocks = new(own.Count);
    readonly ScoreHeap _ids = new(own.Count);

    /// <summary>Says what the row's next token may be.</summary>
    /// <param name="logits">Logits of the rank's ids.</param>
    /// <param name="history">The tokens before the one to choose; null where no penalty is on.</param>
    /// <param name="mask">One bit for each id of all ranks; empty: all ids are allowed.</param>
    public void Describe(ReadOnlySpan<float> logits, SamplingOptions options, TokenHistory? history, ReadOnlySpan<byte> mask, ScoreTable table)
    {
        var head = DescribeLogits(logits, options.TopLogprobs, table);
        if (!float.IsNaN(head.MaxLogit))
        {
            var scores = Score(logits, options, history, mask);
            _blocks.Set(scores);
            var best = _blocks.ArgMax(scores);
            head = head with { MaxScore = _blocks.Max, Chosen = new ScoredId(own.First + best, _blocks.Max, logits[best]) };
            if (!options.IsGreedy && !float.IsNegativeInfinity(_blocks.Max))
            {
                if (ScoreFilter.NeedsSum(options, vocabularySize))
                    head = head with { ScoreSum = Softmax.SumOfExp(scores, _blocks.Max, 1 / options.Temperature) };
                if (ScoreFilter.IsNeeded(options)) head = head with { CandidateCount = AddCandidates(scores, logits, options, head.ScoreSum, table) };
            }
        }
        table.Complete(head);
    }

    /// <summary>Says how probable the row's next token, which is known, is.</summary>
    public void Describe(ReadOnlySpan<float> logits, int known, int topLogprobs, ScoreTable table)
    {
        var head = DescribeLogits(logits, topLogprobs, table);
        var index = known - own.First;
        if ((uint)index < (uint)own.Count) head = head with { Chosen = new ScoredId(known, logits[index], logits[index]) };
        table.Complete(head);
    }

    /// <summary>Draws from all of the rank's ids, where nothing is filtered: adds up their weights in order until they exceed a point.</summary>
    /// <param name="rest">The point, as a part of the sum of e^((score - greatest) / temperature). Beyond the sum: the last id that is possible.</param>
    public ScoredId Draw(ReadOnlySpan<float> logits, SamplingOptions options, TokenHistory? history, ReadOnlySpan<byte> mask, double rest)
    {
        var scores = Score(logits, options, history, mask);
        var max = Softmax.Max(scores);
        // First which 256 ids, then which of them.
        Span<float> weights = stackalloc float[DrawBlock];
        var last = 0;
        for (var first = 0; first < scores.Length; first += DrawBlock)
        {
            var block = scores[first..Math.Min(first + DrawBlock, scores.Length)];
            var ofBlock = weights[..block.Length];
            double sum = Softmax.Exp(block, max, 1 / options.Temperature, ofBlock);
            if (sum > rest) return At(first + Sampler.IndexAt(ofBlock, rest), scores, logits);
            rest -= sum;
            if (sum > 0) last = first + Sampler.IndexAt(ofBlock, sum);
        }
        return At(last, scores, logits); // the sum over all was rounded up
    }

    /// <summary>What log-probabilities take: the ids with the greatest logits go to the table.</summary>
    RowScores DescribeLogits(ReadOnlySpan<float> logits, int? topLogprobs, ScoreTable table)
    {
        var max = Softmax.MaxOfFinite(logits);
        if (float.IsNaN(max)) return new RowScores { MaxLogit = max, Chosen = ScoredId.None };
        var sum = topLogprobs is null ? 0 : Softmax.SumOfExp(logits, max);
        return new RowScores { MaxLogit = max, LogitSum = sum, Chosen = ScoredId.None, TopCount = AddTop(logits, topLogprobs ?? 0, table) };
    }

    int AddTop(ReadOnlySpan<float> logits, int count, ScoreTable table)
    {
        if (count == 0) return 0;
        count = Math.Min(count, logits.Length);
        _blocks.Set(logits);
        _ids.Clear();
        _blocks.Collect(logits, _blocks.ReachedBy(count), _ids);
        _ids.Heapify();
        for (var i = 0; i < count; i++)
        {
            var (id, logit) = _ids.RankNext();
            table.Add(new ScoredId(own.First + id, logit, logit));
        }
        return count;
    }

    int AddCandidates(ReadOnlySpan<float> scores, ReadOnlySpan<float> logits, SamplingOptions options, float sum, ScoreTable table)
    {
        _ids.Clear();
        _blocks.Collect(scores, ScoreFilter.Floor(options, _blocks, sum, vocabularySize), _ids);
        var topK = ScoreFilter.TopK(options, vocabularySize);
        if (topK == 0 || topK >= _ids.Count)
        {
            for (var i = 0; i < _ids.Count; i++) table.Add(At(_ids.Id(i), scores, logits));
            return _ids.Count;
        }
        // The floor is one of blocks: more ids reach it than are wanted, all of them where there are fewer blocks.
        _ids.Heapify();
        for (var i = 0; i < topK; i++) table.Add(At(_ids.RankNext().Id, scores, logits));
        return topK;
    }

    ReadOnlySpan<float> Score(ReadOnlySpan<float> logits, SamplingOptions options, TokenHistory? history, ReadOnlySpan<byte> mask)
    {
        if (history is null && options.LogitBias.Count == 0 && mask.IsEmpty) return logits;
        logits.CopyTo(_scores);
        Penalties.Apply(options, history, _scores, own.First);
        if (!mask.IsEmpty) TokenMask.Apply(mask[(own.First / 8)..], _scores);
        return _scores;
    }

    ScoredId At(int index, ReadOnlySpan<float> scores, ReadOnlySpan<float> logits) => new(own.First + index, scores[index], logits[index]);
}

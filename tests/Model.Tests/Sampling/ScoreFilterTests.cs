using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Model.Sampling;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Sampling;

/// <summary>Exactly the ids that the plain sampler keeps, with their probabilities.</summary>
public sealed class ScoreFilterTests
{
    [Fact]
    public void Keeps_what_full_sorts_keep()
    {
        var random = new Random(1);
        for (var round = 0; round < 400; round++)
        {
            var vocabularySize = random.Next(4) switch { 0 => 5, 1 => 300, 2 => 2048, _ => 9000 };
            var scores = TestLogits.Of(vocabularySize, round, spread: 0.5f + (4 * random.NextSingle()));
            if (round % 5 == 0) MakeManyEqual(scores);
            if (round % 7 == 0)
                for (var i = 1; i < scores.Length; i += 2) scores[i] = float.NegativeInfinity;
            var options = new SamplingOptions
            {
                Temperature = 0.2f + (2 * random.NextSingle()),
                TopK = random.Next(3) == 0 ? 0 : random.Next(1, vocabularySize + 10),
                TopP = random.Next(3) == 0 ? 1 : 0.01f + (0.98f * random.NextSingle()),
                MinP = random.Next(3) == 0 ? 0 : 0.3f * random.NextSingle(),
            };
            if (ScoreFilter.IsNeeded(options)) Check(scores, options);
        }
    }

    [Theory]
    [InlineData(1, 1f, 0f)]
    [InlineData(0, 1e-6f, 0f)]
    [InlineData(0, 1f, 1f)]
    public void The_narrowest_filters_keep_the_best_id(int topK, float topP, float minP)
    {
        var scores = TestLogits.Of(3000, 3);
        Assert.Equal([Array.IndexOf(scores, scores.Max())], Check(scores, new SamplingOptions { Temperature = 1, TopK = topK, TopP = topP, MinP = minP }));
    }

    [Fact]
    public void Of_equal_scores_the_lower_ids_stay()
    {
        var scores = new float[1000];
        scores[999] = 1;
        Assert.Equal([.. Enumerable.Range(0, 599), 999], Check(scores, new SamplingOptions { Temperature = 1, TopK = 600 }).Order());
        Assert.Equal(999, Check(scores, new SamplingOptions { Temperature = 1, TopP = 0.5f })[0]);
    }

    /// <summary>The ids that are kept.</summary>
    static int[] Check(float[] scores, SamplingOptions options)
    {
        double[] plainScores = [.. scores.Select(s => (double)s)];
        var expected = PlainSampler.Distribution(plainScores, options);
        var filter = Filter(scores, options);

        int[] kept = [.. Enumerable.Range(0, filter.Count).Where(i => filter.Weights[i] > 0).Select(filter.Id)];
        var differing = expected.Select(e => e.Id).Except(kept).Union(kept.Except(expected.Select(e => e.Id))).ToArray();
        if (differing.Length > 0)
        {
            // Rounding may decide on one id, where the sum of probabilities meets top_p or a probability meets min_p.
            Assert.True(differing.Length == 1 && IsBorderline(plainScores, options, expected.Length), $"{options}: {string.Join(' ', differing)}");
            return kept;
        }

        var sum = filter.Weights.ToArray().Sum(w => (double)w);
        var probabilities = Enumerable.Range(0, filter.Count).ToDictionary(filter.Id, i => filter.Weights[i] / sum);
        Assert.All(expected, e => Assert.Equal(e.Probability, probabilities[e.Id], 1e-4 * e.Probability));
        return kept;
    }

    /// <summary>As two ranks do it, if there are ids enough.</summary>
    static ScoreFilter Filter(float[] scores, SamplingOptions options)
    {
        IndexRange[] ranges = scores.Length < 32 ? [new(0, scores.Length)] : [new(0, 16), new(16, scores.Length - 16)];
        var tables = new ScoreTable[ranges.Length];
        var (max, sum) = (scores.Max(), 0.0);
        foreach (var (rank, range) in ranges.Index())
        {
            tables[rank] = new ScoreTable(rank, 1, scores.Length);
            var blocks = new ScoreBlocks(range.Count);
            var own = scores.AsSpan(range.First, range.Count);
            blocks.Set(own);
            var ownSum = Softmax.SumOfExp(own, blocks.Max, 1 / options.Temperature);
            sum += ownSum * Math.Exp((blocks.Max - max) / options.Temperature);
            var ids = new ScoreHeap(range.Count);
            if (!float.IsNegativeInfinity(blocks.Max)) blocks.Collect(own, ScoreFilter.Floor(options, blocks, ownSum, scores.Length), ids);
            for (var i = 0; i < ids.Count; i++) tables[rank].Add(new ScoredId(range.First + ids.Id(i), own[ids.Id(i)], 0));
            tables[rank].Complete(new RowScores { CandidateCount = ids.Count });
        }
        var filter = new ScoreFilter(scores.Length);
        filter.Apply(tables, 0, max, ScoreFilter.NeedsSum(options, scores.Length) ? sum : double.NaN, options, scores.Length);
        return filter;
    }

    static bool IsBorderline(double[] scores, SamplingOptions options, int expected)
    {
        const float nearby = 1e-5f;
        var fewer = PlainSampler.Distribution(scores, options with { TopP = options.TopP * (1 - nearby), MinP = options.MinP * (1 + nearby) });
        var more = PlainSampler.Distribution(scores, options with { TopP = Math.Min(1, options.TopP * (1 + nearby)), MinP = options.MinP * (1 - nearby) });
        return fewer.Length != expected || more.Length != expected;
    }

    static void MakeManyEqual(float[] scores)
    {
        foreach (ref var score in scores.AsSpan()) score = MathF.Round(score);
    }
}

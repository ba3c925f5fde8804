using LlamaCluster.Model.Sampling;
using LlamaCluster.Model.Tests.Inference;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Sampling;

public sealed class SamplerTests
{
    internal static readonly SamplingOptions[] Mixtures =
    [
        new() { Temperature = 1 },
        new() { Temperature = 0.5f },
        new() { Temperature = 2, TopK = 7 },
        new() { Temperature = 1, TopP = 0.8f },
        new() { Temperature = 1, TopP = 0.05f },
        new() { Temperature = 1, MinP = 0.1f },
        new() { Temperature = 1.5f, MinP = 0.02f, TopK = 20, TopP = 0.9f },
        new() { Temperature = 1, RepetitionPenalty = 1.5f, FrequencyPenalty = 0.5f, PresencePenalty = 0.3f },
        new() { Temperature = 1, TopK = 12, LogitBias = new Dictionary<int, float> { [3] = 5, [4] = -100, [299] = 2 } },
    ];

    public static TheoryData<int> MixtureIndexes => [.. Enumerable.Range(0, Mixtures.Length)];

    [Theory]
    [MemberData(nameof(MixtureIndexes))]
    public void Draws_follow_the_distribution(int mixture)
    {
        const int draws = 20_000;
        var options = Mixtures[mixture];
        var logits = TestLogits.Of(300, 1);
        int[] prompt = [1, 2, 3, 50];
        int[] output = [5, 5, 5, 6, 1];
        var expected = PlainSampler.Distribution(PlainSampler.Scores(logits, options, prompt, output), options);
        var history = HistoryOf(options, prompt, output);
        var sampler = new TestSampler(300);
        var counts = new int[300];
        for (var i = 0; i < draws; i++) counts[sampler.Sample(logits, options with { Seed = (ulong)i }, history, default, 9)!.Id]++;

        Assert.Empty(counts.Index().Where(c => c.Item > 0).Select(c => c.Index).Except(expected.Select(e => e.Id)));
        AssertFollows(expected, counts, draws);
    }

    [Theory]
    [MemberData(nameof(MixtureIndexes))]
    public void Positions_are_as_independent_as_seeds(int mixture)
    {
        const int draws = 20_000;
        var options = Mixtures[mixture];
        var logits = TestLogits.Of(300, 2);
        var expected = PlainSampler.Distribution(PlainSampler.Scores(logits, options, [], []), options);
        var sampler = new TestSampler(300);
        var counts = new int[300];
        for (var position = 0; position < draws; position++) counts[sampler.Sample(logits, options with { Seed = 77 }, null, default, position)!.Id]++;
        AssertFollows(expected, counts, draws);
    }

    [Fact]
    public void The_same_seed_position_and_tokens_give_the_same_choice()
    {
        var logits = TestLogits.Of(5000, 3);
        var options = new SamplingOptions { Temperature = 1, TopP = 0.95f, Seed = 123 };
        var (one, other) = (new TestSampler(5000), new TestSampler(5000));
        var choices = Enumerable.Range(0, 100).Select(position => one.Sample(logits, options, null, default, position)!.Id).ToArray();

        // Another sampler, in another order, after other requests.
        foreach (var position in Enumerable.Range(0, 100).Reverse())
        {
            other.Sample(TestLogits.Of(5000, position), new SamplingOptions { Temperature = 3, TopK = 50 }, null, default, position);
            Assert.Equal(choices[position], other.Sample(logits, options, null, default, position)!.Id);
        }
        Assert.True(choices.Distinct().Count() > 20);
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(9e-6f)]
    public void Without_temperature_the_greatest_score_wins_and_of_equal_ones_the_lowest_id(float temperature)
    {
        var logits = TestLogits.Of(1000, 4);
        logits[700] = logits[300] = logits[301] = 20;
        var sampler = new TestSampler(1000);
        var options = new SamplingOptions { Temperature = temperature, TopK = 5, TopP = 0.5f };
        Assert.Equal(300, sampler.Sample(logits, options, null, default, 1)!.Id);
        Assert.Equal(701, sampler.Sample(logits, options with { LogitBias = new Dictionary<int, float> { [701] = 50 } }, null, default, 1)!.Id);
        options = options with { RepetitionPenalty = 3 };
        Assert.Equal(301, sampler.Sample(logits, options, HistoryOf(options, [300], [300]), default, 1)!.Id);
    }

    [Fact]
    public void Log_probabilities_are_those_of_the_model_whatever_is_done_to_its_scores()
    {
        var logits = TestLogits.Of(3000, 5);
        var exact = Exact(logits);
        var best = logits.Index().OrderByDescending(l => l.Item).Take(20).Select(l => l.Index).ToArray();
        var options = new SamplingOptions
        {
            Temperature = 1.3f,
            TopK = 3,
            RepetitionPenalty = 2,
            TopLogprobs = 20,
            LogitBias = new Dictionary<int, float> { [17] = 100 },
        };
        var sampled = new TestSampler(3000).Sample(logits, options, HistoryOf(options, best, []), default, 3)!;

        Assert.Equal(17, sampled.Id);
        Assert.Equal(exact[17], sampled.Logprob, 1e-5);
        Assert.Equal(best, sampled.Top.Select(top => top.Id));
        Assert.All(sampled.Top, top => Assert.Equal(exact[top.Id], top.Logprob, 1e-5));
    }

    [Fact]
    public void Log_probabilities_are_given_as_far_as_asked_for()
    {
        var logits = TestLogits.Of(40, 6);
        var sampler = new TestSampler(40);
        var none = sampler.Sample(logits, new SamplingOptions(), null, default, 1)!;
        Assert.True(float.IsNaN(none.Logprob));
        Assert.Empty(none.Top);
        var own = sampler.Sample(logits, new SamplingOptions { TopLogprobs = 0 }, null, default, 1)!;
        Assert.Equal(Exact(logits)[own.Id], own.Logprob, 1e-5);
        Assert.Empty(own.Top);
        var scored = sampler.Score(logits, 11, 3)!;
        Assert.Equal(11, scored.Id);
        Assert.Equal(Exact(logits)[11], scored.Logprob, 1e-5);
        Assert.Equal(3, scored.Top.Count);
    }

    [Fact]
    public void Only_allowed_ids_are_drawn_and_biases_do_not_bring_others_back()
    {
        var logits = TestLogits.Of(300, 7);
        var mask = new byte[38];
        foreach (var id in new[] { 0, 9, 255, 256, 299 }) mask[id / 8] |= (byte)(1 << (id % 8));
        var options = new SamplingOptions { Temperature = 5, LogitBias = new Dictionary<int, float> { [10] = 100 } };
        var expected = PlainSampler.Distribution(PlainSampler.Scores(logits, options, [], [], id => (mask[id / 8] >> (id % 8) & 1) == 1), options);
        var sampler = new TestSampler(300);
        var counts = new int[300];
        for (var i = 0; i < 5000; i++) counts[sampler.Sample(logits, options with { Seed = (ulong)i }, null, mask, 3)!.Id]++;
        Assert.Equal(5, expected.Length);
        AssertFollows(expected, counts, 5000);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void Logits_that_are_not_finite_give_no_token(float bad)
    {
        var logits = TestLogits.Of(1000, 8);
        logits[777] = bad;
        var sampler = new TestSampler(1000);
        Assert.Null(sampler.Sample(logits, new SamplingOptions { Temperature = 1 }, null, default, 1));
        Assert.Null(sampler.Sample(logits, new SamplingOptions(), null, default, 1));
        Assert.Null(sampler.Score(logits, 3, 2));
    }

    [Fact]
    public void A_large_vocabulary_is_sampled_without_allocating_more_than_the_token()
    {
        var logits = TestLogits.Of(128_256, 9);
        var sampler = new TestSampler(128_256);
        SamplingOptions[] mixtures =
        [
            new() { Temperature = 1 }, new() { Temperature = 1, TopP = 0.9f }, new() { Temperature = 1, TopK = 40 },
            new() { Temperature = 1, MinP = 0.05f }, new(),
        ];
        foreach (var options in mixtures) sampler.Sample(logits, options, null, default, 1);
        var before = GC.GetAllocatedBytesForCurrentThread();
        foreach (var options in mixtures) sampler.Sample(logits, options, null, default, 2);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, mixtures.Length * 64);
    }

    [Theory]
    [MemberData(nameof(MixtureIndexes))]
    public void Ranks_choose_what_one_who_has_all_ids_chooses(int mixture)
    {
        const int vocabularySize = 300, draws = 2000;
        var options = Mixtures[mixture] with { TopLogprobs = 4 };
        int[] prompt = [1, 2, 3, 50], output = [5, 5, 5, 6, 1, 290];
        var history = HistoryOf(options, prompt, output);
        var mask = new byte[38];
        mask.AsSpan(5).Fill(0xAD);
        var one = new TestSampler(vocabularySize);
        // Also a rank none of whose ids is allowed.
        var ranks = new[] { new TestSampler(vocabularySize, 0, 160), new TestSampler(vocabularySize, 0, 16, 32, 288, 296) };
        var differing = 0;
        for (var i = 0; i < draws; i++)
        {
            var logits = TestLogits.Of(vocabularySize, i);
            var (own, seeded) = (i % 2 == 0 ? mask : [], options with { Seed = (ulong)i });
            var expected = one.Sample(logits, seeded, history, own, i)!;
            foreach (var other in ranks)
            {
                var actual = other.Sample(logits, seeded, history, own, i)!;
                if (expected.Id == actual.Id) Assert.Equal(expected.Logprob, actual.Logprob, 1e-5);
                else differing++;
                Assert.Equal(expected.Top.Select(top => top.Id), actual.Top.Select(top => top.Id));
            }
        }
        // Sums in another order: a random number may fall between them, about once in a hundred thousand times.
        Assert.InRange(differing, 0, 1);
    }

    /// <summary>Where the best ids stand in blocks of their own, one rank finds exactly as many as are wanted, and several find more.</summary>
    [Fact]
    public void Ranks_choose_what_one_chooses_from_the_best_of_a_large_vocabulary()
    {
        const int vocabularySize = 30_000;
        var (one, ranks) = (new TestSampler(vocabularySize), new TestSampler(vocabularySize, 0, 9_600, 16_000));
        for (var i = 0; i < 300; i++)
        {
            var logits = TestLogits.Of(vocabularySize, i);
            var options = new SamplingOptions { Temperature = 1, TopK = 1 + (i % 12), Seed = (ulong)i };
            Assert.Equal(one.Sample(logits, options, null, default, i)!.Id, ranks.Sample(logits, options, null, default, i)!.Id);
        }
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(1f)]
    public void Ranks_choose_of_equal_scores_the_lowest_id_and_score_what_is_known(float temperature)
    {
        var logits = new float[1000];
        logits[700] = logits[300] = logits[301] = 20;
        var sampler = new TestSampler(1000, 0, 304, 640);
        Assert.Equal(300, sampler.Sample(logits, new SamplingOptions { Temperature = temperature, TopK = 1 }, null, default, 1)!.Id);
        Assert.Equal(701, sampler.Sample(logits, new SamplingOptions { LogitBias = new Dictionary<int, float> { [701] = 50 } }, null, default, 1)!.Id);
        var scored = sampler.Score(logits, 999, 3)!;
        Assert.Equal((999, Exact(logits)[999]), (scored.Id, scored.Logprob), (a, b) => a.Item1 == b.Item1 && Math.Abs(a.Item2 - b.Item2) < 1e-5);
        Assert.Equal([300, 301, 700], scored.Top.Select(top => top.Id));
        logits[800] = float.NaN;
        Assert.Null(sampler.Sample(logits, new SamplingOptions(), null, default, 1));
    }

    [Fact]
    public void Ranks_send_few_bytes_for_a_row()
    {
        const int vocabularySize = 128_256;
        var logits = TestLogits.Of(vocabularySize, 9);
        CheckBytes(new SamplingOptions(), 36);
        CheckBytes(new SamplingOptions { Temperature = 1 }, 36);
        CheckBytes(new SamplingOptions { Temperature = 1, TopLogprobs = 20 }, 36 + (20 * 12));
        CheckBytes(new SamplingOptions { Temperature = 1, TopK = 40 }, 36 + (40 * 12));
        CheckBytes(new SamplingOptions { Temperature = 1, TopK = 1000 }, 36 + (1000 * 12));   // more than there are blocks of ids
        CheckBytes(new SamplingOptions { Temperature = 1, MinP = 0.05f }, 36 + (100 * 12));

        void CheckBytes(SamplingOptions options, int most)
        {
            var sampler = new TestSampler(vocabularySize, 0, 64_000);
            sampler.Sample(logits, options, null, default, 1);
            Assert.InRange(sampler.Sent, 2 * 36, 2 * most);
        }
    }

    /// <summary>Chi-squared over ids that are expected at least 5 times, the others together; chance alone exceeds the limit once in a million.</summary>
    static void AssertFollows((int Id, double Probability)[] expected, int[] counts, int draws)
    {
        var (chiSquared, freedom, rareExpected, rareCount) = (0.0, -1, 0.0, 0);
        foreach (var (id, probability) in expected)
        {
            if (probability * draws >= 5) Add(probability * draws, counts[id]);
            else (rareExpected, rareCount) = (rareExpected + (probability * draws), rareCount + counts[id]);
        }
        if (rareExpected > 5) Add(rareExpected, rareCount);
        var limit = freedom + (4.8 * Math.Sqrt(2 * freedom)) + 15;
        Assert.True(chiSquared < limit, $"chi-squared is {chiSquared:F1} for {freedom} degrees of freedom");

        void Add(double wanted, int count)
        {
            chiSquared += (count - wanted) * (count - wanted) / wanted;
            freedom++;
        }
    }

    internal static TokenHistory? HistoryOf(SamplingOptions options, int[] prompt, int[] output)
    {
        if (!options.NeedsHistory) return null;
        var history = new TokenHistory(prompt.Length);
        history.Add([.. prompt, .. output]);
        return history;
    }

    static double[] Exact(float[] logits) => ReferenceModel.LogSoftmax([.. logits.Select(l => (double)l)]);
}

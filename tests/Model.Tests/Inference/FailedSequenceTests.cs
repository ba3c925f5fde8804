using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using static LlamaCluster.Model.Tests.Inference.TestStage;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>
/// A sequence whose numbers are not finite, or whose facts are bad, fails alone: the others in its steps have, in every bit, the samples that they
/// have without it.
/// </summary>
public sealed class FailedSequenceTests
{
    const int BadToken = 13;
    const ulong Bad = 100;
    const int PromptLength = 40;
    const int Generated = 8;

    static readonly Dictionary<int, float> NoBadToken = new() { [BadToken] = -100 };

    /// <summary>Sequences that go well, each with its own way to sample.</summary>
    static readonly SamplingOptions[] Good =
    [
        new() { LogitBias = NoBadToken, TopLogprobs = 4, PromptLogprobs = true },
        new() { LogitBias = NoBadToken, Temperature = 1, Seed = 7, RepetitionPenalty = 1.3f, FrequencyPenalty = 0.3f, PresencePenalty = 0.2f, TopLogprobs = 2 },
        new() { LogitBias = NoBadToken, Temperature = 0.8f, Seed = 8, TopP = 0.9f, TopLogprobs = 1 },
        new() { Temperature = 1.5f, Seed = 9, TopK = 7, MinP = 0.01f, LogitBias = new Dictionary<int, float>(NoBadToken) { [2] = 2 } },
    ];

    [Theory]
    [InlineData("blk.0.attn_k.weight", "one stage", TensorType.F32, KvType.F32, "keys or values of layer 0 are not finite at position 21")]
    [InlineData("blk.0.attn_k.weight", "three stages", TensorType.Q8_0, KvType.F16, "activations after layer 1 are not finite at position 21")]
    [InlineData("blk.0.attn_q.weight", "two ranks", TensorType.Q4_0, KvType.F16, "activations after layer 0 are not finite at position 21")]
    [InlineData("blk.1.attn_k.weight", "one stage", TensorType.F32, KvType.Q8_0, "keys or values of layer 1 are not finite at position 21")]
    [InlineData("blk.1.attn_k.weight", "two ranks", TensorType.Q8_0, KvType.F32, "activations after layer 1 are not finite at position 21")]
    [InlineData("blk.1.attn_v.weight", "three stages", TensorType.Q4_0, KvType.F32, "activations after layer 1 are not finite at position 21")]
    [InlineData("blk.2.attn_v.weight", "two ranks cut within blocks", TensorType.Q8_0, KvType.F16, "activations after layer 2 are not finite at position 21")]
    [InlineData("blk.1.attn_v.weight", "ranks, then a stage, then ranks", TensorType.Q8_0, KvType.Q8_0,
        "activations after layer 1 are not finite at position 21")]
    [InlineData("blk.2.ffn_gate.weight", "one stage", TensorType.Q4_0, KvType.F16, "activations after layer 2 are not finite at position 21")]
    [InlineData("blk.0.ffn_up.weight", "ranks, then a stage, then ranks", TensorType.F32, KvType.F32,
        "activations after layer 1 are not finite at position 21")]
    [InlineData("output.weight", "one stage", TensorType.Q8_0, KvType.F32, "logits after position 21 are not finite")]
    [InlineData("output.weight", "two ranks", TensorType.Q4_0, KvType.F32, "logits after position 21 are not finite")]
    [InlineData("output.weight", "ranks, then a stage, then ranks", TensorType.F32, KvType.F16, "logits after position 21 are not finite")]
    public void Numbers_that_are_not_finite_fail_their_sequence_alone(string tensor, string plan, TensorType type, KvType kvType, string reason)
    {
        using var weights = new PoisonedWeights(TestModels.Grouped with { Type = type }, tensor, BadToken);
        var alone = new Run(weights, plan, kvType);
        var expected = alone.Generate(bad: null);
        var withBad = new Run(weights, plan, kvType);
        // Logits are what the sequence is asked for: it wants those of its prompt.
        var actual = withBad.Generate(
            new SamplingOptions { Temperature = 1, RepetitionPenalty = 1.1f, TopLogprobs = 3, PromptLogprobs = tensor == "output.weight" });

        Assert.Equal(expected, actual);
        Assert.Empty(alone.Failures);
        // From the chunk with the bad token on (positions 20 to 29) each chunk is answered so, though none is sampled from before the prompt's end.
        Assert.Equal([2, 3, .. Enumerable.Range(4, Generated - 1)], withBad.Failures.Select(failure => failure.Step));
        Assert.All(withBad.Failures, failure => Assert.Equal((Bad, reason), (failure.Id, failure.Reason)));
    }

    [Theory]
    [InlineData("one stage")]
    [InlineData("three stages")]
    [InlineData("two ranks")]
    public void Bad_facts_fail_their_sequence_alone(string plan)
    {
        using var weights = TestModels.Grouped.Weights();
        var expected = new Run(weights, plan, KvType.F32).Generate(bad: null);
        var withBad = new Run(weights, plan, KvType.F32);
        Assert.Equal(expected, withBad.Generate(new SamplingOptions { Temperature = float.NaN, RepetitionPenalty = -5, TopLogprobs = -3, TopK = -1 }));
        Assert.Equal(Enumerable.Range(0, 4 + Generated - 1), withBad.Failures.Select(failure => failure.Step));
        Assert.All(withBad.Failures, failure => Assert.Equal((Bad, "temperature is NaN; it must be from 0 to 2"), (failure.Id, failure.Reason)));
    }

    [Fact]
    public void A_problem_that_comes_with_the_facts_is_the_failure()
    {
        using var stage = new TestStage();
        var step = new Step([Facts(7) with { Problem = "grammar is unknown" }, Facts(8)], [ChunkOf(7, 0, [1, 2, 3], [0], 1), ChunkOf(8, 0, [1, 2, 3], [1], 1)]);
        var outcome = Assert.IsType<StepOutcome.Completed>(stage.Runner.Run(step));
        Assert.Equal([new SequenceFailure(7, "grammar is unknown")], outcome.Failures);
        Assert.Equal([8UL], outcome.Samples.Select(samples => samples.SequenceId));
    }

    [Fact]
    public void Activations_that_come_damaged_fail_their_sequence_and_leave_the_stage_as_NaN()
    {
        using var stage = new TestStage(1, 1);
        using var undisturbed = new TestStage(1, 1);
        var input = stage.Runner.Input(8);
        input.Fill(0.5f);
        input[5 * 64] = float.PositiveInfinity;
        var step = new Step([Facts(7), Facts(8)], [ChunkOf(7, 0, [1, 2, 3], [0]), ChunkOf(8, 0, [1, 2, 3, 4, 5], [1])]);
        Assert.Equal([new SequenceFailure(8, "activations after layer 0 are not finite at position 2")], Completed(stage, step).Failures);
        undisturbed.Runner.Input(3).Fill(0.5f);
        Assert.Empty(Completed(undisturbed, StepOf(Facts(7), ChunkOf(7, 0, [1, 2, 3], [0]))).Failures);

        Assert.Equal(undisturbed.Runner.Output, stage.Runner.Output[..(3 * 64)]);
        Assert.DoesNotContain(stage.Runner.Output[(3 * 64)..(5 * 64)].ToArray(), float.IsNaN);
        Assert.All(stage.Runner.Output[(5 * 64)..].ToArray(), value => Assert.True(float.IsNaN(value)));

        // What comes later may be finite: the sequence has failed.
        stage.Runner.Input(1).Fill(0.5f);
        Assert.Equal(
            [new SequenceFailure(8, "activations after layer 0 are not finite at position 2")],
            Completed(stage, StepOf(null, ChunkOf(8, 5, [1], []))).Failures);
        Assert.All(stage.Runner.Output.ToArray(), value => Assert.True(float.IsNaN(value)));

        // Once it is ended its blocks are as good as any.
        stage.Runner.End(8);
        stage.Runner.Input(3).Fill(0.5f);
        Assert.Empty(Completed(stage, StepOf(Facts(8), ChunkOf(8, 0, [1, 2, 3], [1]))).Failures);
        Assert.Equal(undisturbed.Runner.Output, stage.Runner.Output);
    }

    [Theory]
    [InlineData(KvType.F32)]
    [InlineData(KvType.F16)]
    [InlineData(KvType.Q8_0)]
    [InlineData(KvType.Q4_0)]
    public void Who_takes_over_damaged_positions_fails_and_who_takes_those_before_does_not(KvType kvType)
    {
        using var weights = new PoisonedWeights(TestModels.Grouped, "blk.1.attn_v.weight", BadToken);
        using var threads = new ComputeThreads(1);
        using var pipeline = LocalPipeline.Load(weights, PlanOf(weights.Config, "three stages"), Options(kvType), threads);
        int[] bad = [.. Tokens(36, 1), BadToken, .. Tokens(27, 2)];
        int[] good = [.. bad[..36], 5];
        var expected = Completed(pipeline, StepOf(Facts(1), ChunkOf(1, 0, good, [0, 1, 2], 1)));
        pipeline.End(1);

        var damaged = Completed(pipeline, StepOf(Facts(2), ChunkOf(2, 0, bad, [3, 4, 5, 6])));
        Assert.Equal("activations after layer 1 are not finite at position 36", Assert.Single(damaged.Failures).Reason);
        Assert.Empty(Completed(pipeline, StepOf(Facts(3), ChunkOf(3, 32, good[32..], [3, 4, 7], 1))).Failures);
        pipeline.End(2);

        // A copy of the block in which the damage begins, up to it and beyond it; then the block itself.
        var upTo = Completed(pipeline, StepOf(Facts(4), ChunkOf(4, 36, good[36..], [3, 4, 8], 1)) with { Copies = [new BlockCopy(5, 8)] });
        Assert.Equal(Describe(expected.Samples[0]), Describe(upTo.Samples[0]));
        var beyond = Completed(pipeline, StepOf(Facts(5), ChunkOf(5, 37, [5], [3, 4, 9], 1)) with { Copies = [new BlockCopy(5, 9)] });
        Assert.Equal((5UL, "the keys or values that it takes over are not finite at position 36"), (beyond.Failures[0].SequenceId, beyond.Failures[0].Reason));
        var itself = Completed(pipeline, new Step([Facts(6)], [ChunkOf(6, 48, [5], [3, 4, 5, 10]), ChunkOf(4, 37, [5], [], 1)]));
        Assert.Equal([6UL], itself.Failures.Select(failure => failure.SequenceId));
        Assert.Equal([4UL], itself.Samples.Select(samples => samples.SequenceId));

        // What the reader has written is damaged too; and sound again once another sequence has written there.
        pipeline.End(6);
        Assert.Single(Completed(pipeline, StepOf(Facts(7), ChunkOf(7, 49, [5], [3, 4, 5, 10], 1))).Failures);
        foreach (var id in new ulong[] { 3, 4, 5, 7 }) pipeline.End(id);
        Assert.Empty(Completed(pipeline, StepOf(Facts(8), ChunkOf(8, 0, [.. good[..36], .. Tokens(12, 5)], [3, 4, 5], 1))).Failures);
        pipeline.End(8);
        Assert.Empty(Completed(pipeline, StepOf(Facts(9), ChunkOf(9, 48, [5], [3, 4, 5, 10], 1))).Failures);
    }

    [Fact]
    public void What_a_sequence_with_bad_facts_has_computed_may_be_shared()
    {
        using var stage = new TestStage();
        var tokens = Tokens(17, 3);
        var expected = stage.Complete(StepOf(Facts(1), ChunkOf(1, 0, tokens, [0, 1], 1)))[0];
        Assert.Single(Completed(stage, StepOf(Facts(2, new SamplingOptions { TopP = 3 }), ChunkOf(2, 0, tokens, [2, 3], 1))).Failures);
        Assert.Equal(Describe(expected), Describe(stage.Complete(StepOf(Facts(3), ChunkOf(3, 16, tokens[16..], [2, 4], 1)))[0]));
    }

    [Fact]
    public void A_refused_step_leaves_damage_as_it_was()
    {
        using var weights = new PoisonedWeights(TestModels.Grouped, "blk.1.attn_v.weight", BadToken);
        using var stage = new TestStage(weights: weights);
        Assert.Single(Completed(stage, StepOf(Facts(1), ChunkOf(1, 0, [BadToken, 1, 2], [0]))).Failures);
        Assert.Empty(Completed(stage, StepOf(Facts(2), ChunkOf(2, 0, [3, 1, 2], [1]))).Failures);
        stage.Runner.End(1);
        stage.Runner.End(2);
        stage.Refuse(StepOf(null, ChunkOf(9, 3, [1], [1])) with { Copies = [new BlockCopy(0, 1)] });
        Assert.Empty(Completed(stage, StepOf(Facts(3), ChunkOf(3, 3, [1], [1]))).Failures);
        stage.Runner.End(3);
        Assert.Single(Completed(stage, StepOf(Facts(4), ChunkOf(4, 3, [1], [1])) with { Copies = [new BlockCopy(0, 1)] }).Failures);
    }

    [Fact]
    public void Drafts_of_a_failed_sequence_give_no_tokens()
    {
        using var weights = new PoisonedWeights(TestModels.Grouped, "output.weight", BadToken);
        using var stage = new TestStage(weights: weights);
        var first = stage.Complete(new Step([Facts(1), Facts(2)], [ChunkOf(1, 0, [1, 2], [0], 1), ChunkOf(2, 0, [1, 2], [1], 1)]))[0].Tokens[0].Id;
        var outcome = Completed(stage, new Step([], [ChunkOf(1, 2, [first, BadToken, 3], [], 3), ChunkOf(2, 2, [first], [], 1)]));
        Assert.Equal([new SequenceFailure(1, "logits after position 3 are not finite")], outcome.Failures);
        Assert.Equal([2UL], outcome.Samples.Select(samples => samples.SequenceId));

        // The steps that are under way when that is found may go on anywhere behind what is settled.
        Assert.Single(Completed(stage, StepOf(null, ChunkOf(1, 3, [5], [], 1))).Failures);
    }

    static int[] Tokens(int count, int seed) => [.. TestModels.Tokens(count, seed).Select(token => token == BadToken ? 0 : token)];

    static StepOutcome.Completed Completed(TestStage stage, Step step) => Assert.IsType<StepOutcome.Completed>(stage.Runner.Run(step));

    static StepOutcome.Completed Completed(LocalPipeline pipeline, Step step) => Assert.IsType<StepOutcome.Completed>(pipeline.Run(step));

    static StageOptions Options(KvType kvType) => new() { KvBlockCount = 24, KvType = kvType, MaxStepRows = 64, MaxSequenceLength = 64 };

    static string Describe(SequenceSamples samples) => string.Join(' ', samples.Tokens.Concat(samples.Prompt).Select(Describe));

    static string Describe(SampledToken token) => $"{token.Id} {token.Logprob:R} [{string.Join(' ', token.Top.Select(top => $"{top.Id} {top.Logprob:R}"))}]";

    static IReadOnlyList<LocalStagePlan> PlanOf(LlamaConfig config, string plan)
    {
        var two = TestSlices.Cut(config, [0, 2], [0, 32], [0, 16]);
        return plan switch
        {
            "one stage" => LocalStagePlan.Even(3, 1),
            "three stages" => [new(new StageShape(0, 1, 3), []), new(new StageShape(1, 1, 3), []), new(new StageShape(2, 1, 3), [])],
            "two ranks" => [new(StageShape.Whole(3), two)],
            "two ranks cut within blocks" => [new(StageShape.Whole(3), TestSlices.Cut(config, [0, 2], [0, 40], [0, 16]))],
            _ => [new(new StageShape(0, 1, 3), two), new(new StageShape(1, 1, 3), []), new(new StageShape(2, 1, 3), two)],
        };
    }

    /// <summary>All sequences together: prompts in chunks of ten positions, then one token at a time.</summary>
    sealed class Run(IModelWeights weights, string plan, KvType kvType)
    {
        const int ChunkSize = 10;

        public List<(int Step, ulong Id, string Reason)> Failures { get; } = [];

        /// <summary>What the good sequences were given, in all bits.</summary>
        public List<string> Generate(SamplingOptions? bad)
        {
            using var threads = new ComputeThreads(2);
            using var pipeline = LocalPipeline.Load(weights, PlanOf(weights.Config, plan), Options(kvType), threads);
            var sequences = Good.Select((options, i) => (Id: (ulong)i, Options: options, Known: Tokens(PromptLength, i).ToList())).ToList();
            if (bad is not null)
            {
                // In the middle of the others, so that their rows stand before and behind its own.
                int[] prompt = [.. Tokens(21, 50), BadToken, .. Tokens(PromptLength - 22, 51)];
                sequences.Insert(2, (Bad, bad, [.. prompt, .. Tokens(Generated, 52)]));
            }

            List<string> results = [];
            for (var step = 0; step < (PromptLength / ChunkSize) + Generated - 1; step++)
            {
                var start = step * ChunkSize < PromptLength ? step * ChunkSize : PromptLength + step - (PromptLength / ChunkSize);
                var count = start < PromptLength ? ChunkSize : 1;
                var sampleCount = start + count >= PromptLength ? 1 : 0;
                var outcome = Completed(pipeline, new Step(
                    [.. sequences.Where(_ => step == 0).Select(s => new SequenceStart(s.Id, s.Options, PromptLength, []))],
                    [.. sequences.Select(s => ChunkOf(s.Id, start, [.. s.Known.GetRange(start, count)], NewBlocks(s.Id, start, count), sampleCount))]));
                Failures.AddRange(outcome.Failures.Select(failure => (step, failure.SequenceId, failure.Reason)));
                foreach (var samples in outcome.Samples.Where(samples => samples.SequenceId != Bad))
                {
                    results.Add($"step {step}, {samples.SequenceId} {Describe(samples)}");
                    sequences.Single(s => s.Id == samples.SequenceId).Known.AddRange(samples.Tokens.Select(token => token.Id));
                }
                Assert.DoesNotContain(outcome.Samples, samples => outcome.Failures.Any(failure => failure.SequenceId == samples.SequenceId));
            }
            return results;
        }

        /// <summary>A good sequence has the same blocks whether the bad one is there or not.</summary>
        static int[] NewBlocks(ulong id, int start, int count)
        {
            var first = id == Bad ? 16 : 4 * (int)id;
            return [.. Enumerable.Range(0, 4).Where(block => block * 16 >= start && block * 16 < start + count).Select(block => first + block)];
        }
    }
}

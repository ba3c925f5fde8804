using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Model.Weights;
using LlamaCluster.Primitives;
using static LlamaCluster.Model.Tests.Inference.TestStage;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>Blocks that were copied out of one stage and into another are as good, in every bit, as if the other had computed them.</summary>
public sealed class KvBlocksTests
{
    static readonly SamplingOptions Scored = new() { TopLogprobs = 5 };

    [Theory]
    [InlineData(KvType.F32)]
    [InlineData(KvType.F16)]
    [InlineData(KvType.Q8_0)]
    [InlineData(KvType.Q4_0)]
    public void A_prefix_from_another_stage_changes_no_bit(KvType type)
    {
        var tokens = TestModels.Tokens(40, seed: 3);
        using var source = TestModels.Grouped.Weights();
        using var threads = new ComputeThreads(1);
        var shape = StageShape.Whole(3);
        using var weights = ShardWeights.Load(source, shape, threads, null, CancellationToken.None);
        var options = new StageOptions { KvBlockCount = Blocks, KvType = type, MaxStepRows = MaxRows, MaxSequenceLength = MaxLength };
        using var first = new StageRunner(source.Config, weights, shape, options, threads);
        using var second = new StageRunner(source.Config, weights, shape, options, threads);
        var expected = Samples(first, StepOf(Facts(1, Scored, 40), ChunkOf(1, 0, tokens, [0, 1, 2], sampleCount: 1)));

        var bytes = new byte[first.BlockBytes];
        foreach (var (from, to) in new[] { (0, 9), (1, 4) })
        {
            Assert.True(first.TryCopyOut(from, bytes));
            Assert.True(second.TryCopyIn(to, bytes));
        }
        Assert.Equal(expected, Samples(second, StepOf(Facts(2, Scored, 40), ChunkOf(2, 32, tokens[32..], [9, 4, 7], sampleCount: 1))));
        Assert.Equal(first.BlockBytes, StageMemory.KvBytesPerBlock(source.Config, shape, type));
    }

    [Fact]
    public void Only_a_block_that_is_full_and_sound_is_copied_out()
    {
        using var weights = new PoisonedWeights(TestModels.Grouped, "blk.0.attn_k.weight", token: 13);
        using var stage = new TestStage(weights: weights);
        var bytes = new byte[stage.Runner.BlockBytes];
        Assert.False(stage.Runner.TryCopyOut(0, bytes));
        stage.Complete(StepOf(Facts(1), ChunkOf(1, 0, [.. Enumerable.Repeat(1, 20)], [0, 1])));
        Assert.Equal([true, false, false, false, false], new[] { 0, 1, 2, Blocks, -1 }.Select(block => stage.Runner.TryCopyOut(block, bytes)));
        stage.Runner.Run(StepOf(null, ChunkOf(1, 20, [1, 13, .. Enumerable.Repeat(1, 14)], [2])));   // its numbers are not finite from position 21 on
        Assert.Equal([true, false, false], new[] { 0, 1, 2 }.Select(block => stage.Runner.TryCopyOut(block, bytes)));
    }

    [Fact]
    public void Nothing_is_copied_into_a_block_that_a_sequence_has()
    {
        using var stage = new TestStage();
        var bytes = new byte[stage.Runner.BlockBytes];
        stage.Complete(StepOf(Facts(1), ChunkOf(1, 0, [1, 2], [3])));
        Assert.Equal([false, true, false, false], new[] { 3, 4, Blocks, -1 }.Select(block => stage.Runner.TryCopyIn(block, bytes)));
        stage.Runner.End(1);
        Assert.True(stage.Runner.TryCopyIn(3, bytes));
        Assert.Throws<ArgumentOutOfRangeException>(() => stage.Runner.TryCopyIn(3, bytes.AsSpan(1)));
    }

    static IEnumerable<string> Samples(StageRunner stage, Step step) =>
        [.. Assert.IsType<StepOutcome.Completed>(stage.Run(step)).Samples.SelectMany(samples => samples.Tokens)
            .Select(token => $"{token.Id} {token.Logprob:R} {string.Join(' ', token.Top)}")];
}

using System.Text.Json;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using static LlamaCluster.Model.Tests.Inference.TestStage;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>Pooled hidden states: those of llama.cpp, and the same bits whatever is in the step, however it is split.</summary>
public sealed class EmbeddingTests
{
    const ulong Id = 7;

    public static TheoryData<Pooling> All => [Pooling.Mean, Pooling.First, Pooling.Last];

    [Theory]
    [MemberData(nameof(All))]
    public void They_are_llama_cpp_s(Pooling pooling)
    {
        using var weights = ModelFiles.Open(SharedFiles.Shared("models/stories260K.gguf"));
        using var threads = new ComputeThreads(2);
        using var recorded = JsonDocument.Parse(File.ReadAllText(SharedFiles.Fixture("embeddings/stories260K.json")));
        foreach (var text in recorded.RootElement.GetProperty("cases").EnumerateArray())
        {
            using var pipeline = LocalPipeline.Load(weights, LocalStagePlan.Even(weights.Config.LayerCount, 1), Options, threads);
            var tokens = text.GetProperty("tokens").Deserialize<int[]>()!;
            var expected = text.GetProperty(pooling.ToString().ToLowerInvariant()).Deserialize<float[]>()!;
            var actual = Embed(pipeline, pooling, tokens, tokens.Length);
            Assert.Equal(expected.Length, actual.Count);
            Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 0.01f));
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void They_have_the_same_bits_in_every_split_and_in_chunks_of_any_size(Pooling pooling)
    {
        using var weights = TestModels.Grouped.Weights();
        using var threads = new ComputeThreads(1);
        var tokens = TestModels.Tokens(45, 3);
        using var whole = LocalPipeline.Load(weights, LocalStagePlan.Even(3, 1), Options, threads);
        var expected = Embed(whole, pooling, tokens, tokens.Length);
        Assert.Equal(weights.Config.HiddenSize, expected.Count);
        using var stages = LocalPipeline.Load(weights, LocalStagePlan.Even(3, 3), Options, threads);
        foreach (var size in new[] { 1, 7, 16, 44 })
        {
            Assert.Equal(expected, Embed(whole, pooling, tokens, size));
            Assert.Equal(expected, Embed(stages, pooling, tokens, size));
        }
        // Ranks add in another order.
        using var ranks = LocalPipeline.Load(weights, [new(StageShape.Whole(3), TestSlices.Cut(weights.Config, [0, 2], [0, 32], [0, 16]))], Options, threads);
        var split = Embed(ranks, pooling, tokens, 16);
        Assert.All(expected.Zip(split), pair => Assert.Equal(pair.First, pair.Second, 1e-4f));
        Assert.Equal(split, Embed(ranks, pooling, tokens, 7));
    }

    [Fact]
    public void Others_in_the_step_change_nothing_and_are_not_changed()
    {
        using var stage = new TestStage();
        var tokens = TestModels.Tokens(20, 1);
        var alone = stage.Complete(new Step([Mean(1, 20)], [ChunkOf(1, 0, tokens, [0, 1])]))[0].Embedding;
        var sampled = stage.Complete(StepOf(Facts(2), ChunkOf(2, 0, tokens[..4], [2], 1)))[0].Tokens;
        stage.Runner.End(1);
        stage.Runner.End(2);

        var together = stage.Complete(new Step([Facts(3), Mean(4, 20), Facts(5)],
            [ChunkOf(3, 0, tokens[..4], [3], 1), ChunkOf(4, 0, tokens, [4, 5]), ChunkOf(5, 0, tokens[..4], [6], 1)]));
        Assert.Equal([3UL, 4, 5], together.Select(samples => samples.SequenceId));
        Assert.Equal(alone, together[1].Embedding);
        Assert.Empty(together[1].Tokens);
        Assert.Equal(sampled[0].Id, together[0].Tokens[0].Id);
        Assert.Equal(sampled[0].Id, together[2].Tokens[0].Id);
    }

    [Fact]
    public void What_is_embedded_starts_at_its_beginning_and_ends_with_its_prompt()
    {
        using var stage = new TestStage();
        Assert.Equal(
            "sequence 1 is to be embedded, but goes on to position 3, behind its prompt of 3 tokens",
            stage.Refuse(StepOf(Mean(1, 3), ChunkOf(1, 0, [1, 2, 3, 4], [0]))));
        stage.Complete(StepOf(Facts(2), ChunkOf(2, 0, TestModels.Tokens(16, 1), [0])));
        Assert.Equal("sequence 1 is to be embedded, but starts at position 16", stage.Refuse(StepOf(Mean(1, 17), ChunkOf(1, 16, [1], [0, 1]))));
    }

    [Fact]
    public void A_text_whose_numbers_are_not_finite_fails()
    {
        using var weights = new PoisonedWeights(TestModels.Grouped, "blk.1.attn_v.weight", 13);
        using var stage = new TestStage(weights: weights);
        var outcome = Assert.IsType<StepOutcome.Completed>(stage.Runner.Run(StepOf(Mean(1, 3), ChunkOf(1, 0, [1, 13, 2], [0]))));
        Assert.Equal(
            "activations after layer 1 are not finite at position 1",
            Assert.Single(outcome.Failures).Reason.Replace("keys or values of", "activations after"));
        Assert.Empty(outcome.Samples);
    }

    static SequenceStart Mean(ulong id, int length) => Facts(id, new SamplingOptions { Pooling = Pooling.Mean }, length);

    static StageOptions Options => new() { KvBlockCount = 24, KvType = KvType.F16, MaxStepRows = 64, MaxSequenceLength = 128 };

    static IReadOnlyList<float> Embed(LocalPipeline pipeline, Pooling pooling, int[] tokens, int chunkSize)
    {
        IReadOnlyList<SequenceSamples> samples = [];
        for (var start = 0; start < tokens.Length; start += chunkSize)
        {
            Assert.Empty(samples);
            var chunk = tokens.AsSpan(start, Math.Min(chunkSize, tokens.Length - start)).ToArray();
            var (before, after) = ((start + 15) / 16, (start + chunk.Length + 15) / 16);
            var step = new Step(
                start == 0 ? [Facts(Id, new SamplingOptions { Pooling = pooling }, tokens.Length)] : [],
                [ChunkOf(Id, start, chunk, [.. Enumerable.Range(before, after - before)])]);
            samples = Assert.IsType<StepOutcome.Completed>(pipeline.Run(step)).Samples;
        }
        pipeline.End(Id);
        return Assert.Single(samples).Embedding;
    }
}

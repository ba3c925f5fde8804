using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>Sequences of the demo model that take over what others computed have, in every bit, the log-probabilities that they have alone.</summary>
public sealed class SharedPrefixTests
{
    const int Length = 45;   // two full blocks and a part of a third
    const int Generated = 20;

    static readonly SamplingOptions Sampling = new() { Temperature = 1, Seed = 3, RepetitionPenalty = 1.2f, TopLogprobs = 3 };

    [Theory]
    [InlineData(1, KvType.F32)]
    [InlineData(2, KvType.F16)]
    [InlineData(3, KvType.Q8_0)]
    public void Shared_blocks_and_copied_ones_change_no_bit(int stages, KvType type)
    {
        using var weights = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"));
        using var threads = new ComputeThreads(1);
        using var pipeline = LocalPipeline.Load(
            weights, stages, new StageOptions { KvBlockCount = 20, KvType = type, MaxStepRows = 64, MaxSequenceLength = 128 }, threads);
        int[] prompt = [.. Enumerable.Range(0, Length).Select(i => 300 + (i * 37 % 1000))];
        int[] other = [.. prompt[..32], 700, 701, 702];
        SequenceStart Facts(ulong id, int[] of, int history) => new(id, Sampling with { Seed = Sampling.Seed + id }, of.Length, of[..history]);

        var alone = Generate(1, Run(pipeline, StepOf(Facts(1, prompt, 0), 0, prompt, [0, 1, 2, 3, 4])), pipeline, Length);
        var fork = Generate(2, Run(pipeline, StepOf(Facts(2, prompt, 0), 0, prompt, [5, 6, 7, 8, 9])), pipeline, Length);
        var turn = Generate(3, Run(pipeline, StepOf(Facts(3, other, 0), 0, other, [10, 11, 12, 13, 14])), pipeline, other.Length);
        foreach (var id in new ulong[] { 1, 2, 3 }) pipeline.End(id);

        // The same three again: the first computes, and while it goes on the second takes all of its prompt but the last token, the third its first two blocks.
        var first = Run(pipeline, StepOf(Facts(1, prompt, 0), 0, prompt, [15, 16, 17, 18, 19]));
        var later = pipeline.Run(new Step(
            [Facts(2, prompt, Length - 1), Facts(3, other, 32)],
            [
                new Chunk(1, Length, 1, new[] { first.Id }, default, 1),
                new Chunk(2, Length - 1, 1, prompt[^1..], new[] { 15, 16, 2, 3, 4 }, 1),
                new Chunk(3, 32, 3, other[32..], new[] { 15, 16, 7, 8, 9 }, 1),
            ])
        { Copies = [new BlockCopy(17, 2)] });
        var samples = Assert.IsType<StepOutcome.Completed>(later).Samples;
        Check(alone, [first, .. Generate(1, samples[0].Tokens[0], pipeline, Length + 1)]);
        pipeline.End(1);
        Check(fork, Generate(2, samples[1].Tokens[0], pipeline, Length));
        Check(turn, Generate(3, samples[2].Tokens[0], pipeline, other.Length));
    }

    static Step StepOf(SequenceStart facts, int start, int[] tokens, int[] blocks) =>
        new([facts], [new Chunk(facts.SequenceId, start, tokens.Length, tokens, blocks, 1)]);

    static SampledToken Run(LocalPipeline pipeline, Step step) => Assert.IsType<StepOutcome.Completed>(pipeline.Run(step)).Samples[0].Tokens[0];

    static List<SampledToken> Generate(ulong id, SampledToken first, LocalPipeline pipeline, int position)
    {
        List<SampledToken> tokens = [first];
        for (; tokens.Count < Generated; position++)
            tokens.Add(Run(pipeline, new Step([], [new Chunk(id, position, 1, new[] { tokens[^1].Id }, default, 1)])));
        return tokens;
    }

    static void Check(IEnumerable<SampledToken> expected, IEnumerable<SampledToken> actual)
    {
        foreach (var (one, two) in expected.Zip(actual))
            Assert.Equal((one.Id, one.Logprob, string.Join(' ', one.Top)), (two.Id, two.Logprob, string.Join(' ', two.Top)));
    }
}

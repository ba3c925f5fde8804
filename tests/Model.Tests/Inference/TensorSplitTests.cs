using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;
using LlamaCluster.Testing;
using Xunit.Abstractions;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>
/// Stages that are split over ranks give llama.cpp's tokens on the fixture models, and log-probabilities within the tolerances that
/// docs/numerics.md commits to of those that one worker gives.
/// </summary>
public sealed class TensorSplitTests(ITestOutputHelper output)
{
    /// <summary>Between sums in different orders.</summary>
    const double FloatTolerance = 1e-4;

    /// <summary>Of quantised files a last bit decides which integer an activation is rounded to.</summary>
    const double QuantizedTolerance = 0.05;

    static readonly string[] Splits = ["2", "3", "5", "uneven", "stages of 2, 1 and 2"];

    [SharedFact("models/stories260K.gguf")]
    public void Stories_260K() => Check("stories260K", SharedFiles.Shared("models/stories260K.gguf"), FloatTolerance);

    [Fact]
    public void Demo_as_Hugging_Face_folder() => Check("demo-f16", SharedFiles.Demo("hf"), FloatTolerance);

    [Fact]
    public void Demo_in_q8_0() => Check("demo-q8_0", SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"), QuantizedTolerance);

    [SharedFact("models/demo/llamacluster-demo-5m-q4_0.gguf")]
    public void Demo_in_q4_0() => Check("demo-q4_0", SharedFiles.Shared("models/demo/llamacluster-demo-5m-q4_0.gguf"), QuantizedTolerance);

    [Theory]
    [InlineData(TensorType.F32, KvType.F32)]
    [InlineData(TensorType.Q8_0, KvType.F16)]
    [InlineData(TensorType.Q4_0, KvType.Q8_0)]
    public void A_sequence_has_the_same_bits_in_any_company_and_chunks(TensorType type, KvType kvType)
    {
        using var weights = (TestModels.Grouped with { Type = type }).Weights();
        int[][] sequences = [TestModels.Tokens(100, 1), TestModels.Tokens(1, 2), TestModels.Tokens(33, 3), TestModels.Tokens(64, 4)];
        var plan = new LocalStagePlan(StageShape.Whole(3), TestSlices.Cut(weights.Config, [0, 2], [0, 32], [0, 16]));
        var alone = new ScoredRun(weights, sequences) { KvType = kvType, Plan = [plan] };
        var expected = alone.Run();
        foreach (var chunkSize in new[] { 1, 3, 17, 64 })
        {
            var together = (alone with { Together = true, ChunkSize = chunkSize }).Run();
            for (var s = 0; s < sequences.Length; s++) Assert.Equal(expected[s], together[s]);
        }
    }

    [Fact]
    public void Heads_and_columns_may_be_cut_within_blocks()
    {
        var config = TestModels.Grouped.Config with { KvHeadCount = 1 };
        using var weights = (TestModels.Grouped with { Type = TensorType.Q8_0, Config = config }).Weights();
        var whole = new ScoredRun(weights, TestModels.Tokens(60, 5));
        // Query head 1 shares a block of O with head 0, and column 40 one of down with column 39.
        var split = whole with { Plan = [new LocalStagePlan(StageShape.Whole(3), TestSlices.Cut(weights.Config, [0, 1], [0, 40], [0, 16]))] };
        Assert.InRange(Worst(whole.Run()[0], split.Run()[0]), 1e-9, 0.1);
    }

    static double Worst(IEnumerable<float> a, IEnumerable<float> b) => a.Zip(b, (x, y) => (double)Math.Abs(x - y)).Max();

    void Check(string fixture, string path, double tolerance)
    {
        using var source = ModelFiles.Open(path);
        var options = new LocalGeneratorOptions { Threads = 2, KvType = KvType.F32 };
        var cases = GreedyFixture.Read(fixture).Cases;
        using var whole = new LocalGenerator(source, options);
        var expected = cases.Select(c => Generate(whole, c)).ToArray();
        foreach (var split in Splits)
        {
            using var ranks = new LocalGenerator(source, options with { Plan = PlanOf(source.Config, split) });
            var (chosen, top) = (0.0, 0.0);
            foreach (var (c, one) in cases.Zip(expected))
            {
                var many = Generate(ranks, c);
                Assert.Equal(c.Tokens, many.Select(token => token.Id));
                chosen = Math.Max(chosen, Worst(one.Select(token => token.Logprob), many.Select(token => token.Logprob)));
                top = Math.Max(top, one.Zip(many, (a, b) => Worst(Common(a, b), Common(b, a))).Max());
            }
            output.WriteLine($"{fixture}, {split}: greatest difference of the chosen ids' log-probability {chosen:E1}, of the 20 best ids' {top:E1}");
            Assert.InRange(chosen, 0, tolerance);
        }
    }

    static SampledToken[] Generate(LocalGenerator generator, GreedyFixture.Case c) =>
        [.. generator.Generate(c.PromptTokens, new SamplingOptions { TopLogprobs = 20 }, c.Tokens.Length, new HashSet<int>())];

    /// <summary>Of the ids that are among both tokens' best.</summary>
    static IEnumerable<float> Common(SampledToken token, SampledToken other) =>
        token.Top.Where(t => other.Top.Any(o => o.Id == t.Id)).OrderBy(t => t.Id).Select(t => t.Logprob);

    static IReadOnlyList<LocalStagePlan> PlanOf(LlamaConfig config, string split)
    {
        var (layers, f, v) = (config.LayerCount, config.FfnSize, config.VocabularySize / 16);
        StageSlice[] Even(int count, params int[] heads) => TestSlices.Cut(
            config, heads,
            [.. Enumerable.Range(0, count).Select(rank => f * rank / count / 32 * 32)],
            [.. Enumerable.Range(0, count).Select(rank => v * rank / count * 16)]);
        var (two, three, five) = (Even(2, 0, 4), Even(3, 0, 4, 6), Even(5, 0, 2, 4, 6, 7));
        return split switch
        {
            "2" => [new(StageShape.Whole(layers), two)],
            "3" => [new(StageShape.Whole(layers), three)],
            "5" => [new(StageShape.Whole(layers), five)],
            "uneven" => [new(StageShape.Whole(layers), TestSlices.Cut(config, [0, 6], [0, 32], [0, (v - 1) * 16]))],
            _ => [new(new StageShape(0, 2, layers), two), new(new StageShape(2, 1, layers), []), new(new StageShape(3, layers - 3, layers), two)],
        };
    }
}

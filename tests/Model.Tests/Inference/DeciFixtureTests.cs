using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Local;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using Xunit.Abstractions;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>
/// A small Nemotron (<c>deci</c>) whose layers differ in heads and feed-forwards, some without attention, one with a matrix in its place, one with nothing at
/// all, against what ik_llama.cpp generated from the same file: the same ids, and the ten best ids' log-probabilities close, in every split. A layer with
/// attention and no feed-forward is not among them: ik_llama.cpp, and llama.cpp, leave such a layer out (docs/numerics.md).
/// </summary>
public sealed class DeciFixtureTests(ITestOutputHelper output)
{
    /// <summary>Values were rounded to halves when it was recorded; keys were not, and weights are floats of 32 bits.</summary>
    const double Tolerance = 5e-3;

    /// <summary>Of a forward pass in double precision whose values are rounded as the recorded ones were.</summary>
    const double ExactTolerance = 1e-4;

    static readonly string Recorded = SharedFiles.Fixture("models/deci/tiny-deci.gguf");

    /// <summary>What the file was written from, with <see cref="SyntheticModel.WriteGguf"/>.</summary>
    static readonly SyntheticModel Source = new()
    {
        Seed = 29,
        Name = "tiny-deci",
        Config = SyntheticModel.Small.Config with
        {
            LayerCount = 8,
            HiddenSize = 32,
            HeadSize = 16,
            RopeDimensionCount = 16,
            HeadCount = 4,
            KvHeadCount = 4,
            FfnSize = 64,
            Sizes = new SizesOfLayers([new(4, 2, 64), new(4, 0, 32), new(0, 0, 64), new(2, 1, 32), new(0, 0, 0), new(4, 4, 32), new(0, 0, 32), new(4, 1, 32)]),
        },
    };

    [Fact]
    public void The_file_can_be_made_again()
    {
        using var stored = ModelFiles.Open(Recorded);
        using var made = Source.Weights();
        Assert.Equal(ModelDigest.Compute(made, CancellationToken.None), stored.ComputeDigest());
    }

    [Fact]
    public void The_recording_is_of_rounded_values()
    {
        using var weights = ModelFiles.Open(Recorded);
        var worst = 0.0;
        foreach (var expected in GreedyFixture.Read("tiny-deci").Cases)
        {
            var model = new ReferenceModel(weights) { RoundsValues = true };
            int[] tokens = [.. expected.PromptTokens, .. expected.Tokens];
            var steps = tokens.SkipLast(1).Select(token => ReferenceModel.LogSoftmax(model.Next(token))).Skip(expected.PromptTokens.Length - 1);
            foreach (var (exact, step) in steps.Zip(expected.Steps)) worst = Math.Max(worst, step.Top.Max(top => Math.Abs(exact[(int)top[0]] - top[1])));
        }
        output.WriteLine($"greatest difference of the ten best ids' log-probabilities from double precision with values of halves {worst:E1}");
        Assert.InRange(worst, 0, ExactTolerance);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(1, 2)]
    public void Ids_and_log_probabilities_are_the_recorded_ones(int stages, int ranks)
    {
        using var source = ModelFiles.Open(Recorded);
        IReadOnlyList<LocalStagePlan> plan = ranks == 1
            ? LocalStagePlan.Even(source.Config.LayerCount, stages)
            : [new(StageShape.Whole(source.Config.LayerCount), TestSlices.Cut(source.Config, [0, 2], [0, 32], [0, 144]))];
        using var generator = new LocalGenerator(source, new LocalGeneratorOptions { Threads = 2, KvType = KvType.F32, Plan = plan });
        var cases = GreedyFixture.Read("tiny-deci").Cases;
        Assert.Equal(3, cases.Count);
        var worst = 0.0;
        foreach (var expected in cases)
        {
            var sampling = new SamplingOptions { TopLogprobs = 20 };
            var tokens = generator.Generate(expected.PromptTokens, sampling, expected.Tokens.Length, new HashSet<int>()).ToArray();
            Assert.Equal(expected.Tokens, tokens.Select(token => token.Id));
            foreach (var (token, step) in tokens.Zip(expected.Steps))
            {
                var ours = token.Top.ToDictionary(top => top.Id, top => top.Logprob);
                worst = Math.Max(worst, step.Top.Max(top => Math.Abs(ours[(int)top[0]] - top[1])));
            }
        }
        output.WriteLine($"{stages} stages, {ranks} ranks: greatest difference of the ten best ids' log-probabilities {worst:E1}");
        Assert.InRange(worst, 0, Tolerance);
    }
}

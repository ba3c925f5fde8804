using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Local;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using Xunit.Abstractions;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>
/// Two small Llama 4 (4 experts in every layer and normed heads; 128 experts in every second layer) against what llama.cpp generated from the same
/// files: the same ids, and the ten best ids' log-probabilities close, on one worker, in stages, on two ranks and on two or three that have whole experts.
/// Some long prompts are run always; all
/// of them, in all splits, where LLAMACLUSTER_LONG_PROMPTS is set (some minutes).
/// </summary>
public sealed class Llama4FixtureTests(ITestOutputHelper output)
{
    const string Few = "models/llama4/tiny-llama4-4e.gguf";
    const string Many = "models/llama4/tiny-llama4-128e.gguf";

    /// <summary>
    /// llama.cpp rounds activations to halves before products with weights of halves, which this program does not. That alone moves log-probabilities by
    /// up to 0.015, as <see cref="Recordings_are_of_rounded_activations"/> finds.
    /// </summary>
    const double Tolerance = 2e-2;

    /// <summary>Of a forward pass in double precision.</summary>
    const double ExactTolerance = 1e-4;

    /// <summary>Prompts of at most so many tokens are cheap.</summary>
    const int Short = 1000;

    /// <summary>The second chunk begins within the prompt, and generation goes on in it.</summary>
    const int BeyondTheFirstChunk = 9016;

    static readonly string[] AllSplits = ["whole", "2 stages", "3 stages", "2 ranks", "2 ranks with whole experts"];

    static readonly bool RunsAll = Environment.GetEnvironmentVariable("LLAMACLUSTER_LONG_PROMPTS") is { Length: > 0 };

    [SharedFact(Few)]
    public void Four_experts() => Check(Few, length => length <= Short || RunsAll, [.. AllSplits, "3 ranks with whole experts"]);

    [SharedFact(Many)]
    public void Hundred_and_twenty_eight_experts() => Check(Many, length => length <= Short || RunsAll, AllSplits);

    [SharedFact(Many)]
    public void Beyond_the_first_chunk_of_attention() => Check(Many, length => length == BeyondTheFirstChunk, ["whole", "2 ranks with whole experts"]);

    /// <summary>
    /// How far ours, and the recorded ones, are from double precision; and the latter from double precision whose activations are rounded as llama.cpp does.
    /// </summary>
    [SharedFact(Few)]
    public void Recordings_are_of_rounded_activations()
    {
        using var weights = ModelFiles.Open(SharedFiles.Shared(Few));
        using var generator = new LocalGenerator(weights, new LocalGeneratorOptions { Threads = 2, KvType = KvType.F32, ContextLength = Short });
        double ours = 0, recorded = 0, rounded = 0;
        foreach (var expected in GreedyFixture.Read("tiny-llama4-4e").Cases.Where(c => c.PromptTokens.Length <= 80 && c.Steps.Length > 0))
        {
            var exact = StepsOf(new ReferenceModel(weights), expected);
            var halves = StepsOf(new ReferenceModel(weights) { RoundsActivations = true }, expected);
            var tokens = Generate(generator, expected);
            for (var step = 0; step < expected.Steps.Length; step++)
            {
                ours = Math.Max(ours, tokens[step].Top.Max(top => Math.Abs(top.Logprob - exact[step][top.Id])));
                recorded = Math.Max(recorded, expected.Steps[step].Top.Max(top => Math.Abs(top[1] - exact[step][(int)top[0]])));
                rounded = Math.Max(rounded, expected.Steps[step].Top.Max(top => Math.Abs(top[1] - halves[step][(int)top[0]])));
            }
        }

        output.WriteLine($"from double precision: ours {ours:E1}, the recorded ones {recorded:E1}; these from rounded activations {rounded:E1}");
        Assert.InRange(ours, 0, ExactTolerance);
        Assert.InRange(recorded, 100 * ours, Tolerance);
        Assert.InRange(rounded, 0, 1e-2);
    }

    /// <summary>For each recorded step the log-probabilities of all ids.</summary>
    static double[][] StepsOf(ReferenceModel model, GreedyFixture.Case expected)
    {
        int[] tokens = [.. expected.PromptTokens, .. expected.Tokens];
        var all = tokens.Take(tokens.Length - 1).Select(token => ReferenceModel.LogSoftmax(model.Next(token))).ToArray();
        return all[(expected.PromptTokens.Length - 1)..];
    }

    void Check(string model, Func<int, bool> chooses, string[] splits)
    {
        var fixture = Path.GetFileNameWithoutExtension(model);
        using var source = ModelFiles.Open(SharedFiles.Shared(model));
        // Nothing was recorded of a prompt whose two best ids come to a near tie at once.
        var cases = GreedyFixture.Read(fixture).Cases.Where(c => chooses(c.PromptTokens.Length) && c.Steps.Length > 0).ToArray();
        Assert.NotEmpty(cases);
        foreach (var split in splits)
        {
            using var generator = new LocalGenerator(
                source, new LocalGeneratorOptions { Threads = 2, KvType = KvType.F32, Plan = PlanOf(source.Config, split) });
            var worst = cases.Max(expected => Difference(generator, expected));
            output.WriteLine($"{fixture}, {split}, prompts of up to {cases.Max(c => c.PromptTokens.Length)}: "
                + $"greatest difference of the ten best ids' log-probabilities {worst:E1}");
            Assert.InRange(worst, 0, Tolerance);
        }
    }

    static double Difference(LocalGenerator generator, GreedyFixture.Case expected)
    {
        var tokens = Generate(generator, expected);
        Assert.Equal(expected.Tokens, tokens.Select(token => token.Id));
        var worst = 0.0;
        foreach (var (token, step) in tokens.Zip(expected.Steps))
        {
            var ours = token.Top.ToDictionary(t => t.Id, t => t.Logprob);
            Assert.All(step.Top, top => Assert.Contains((int)top[0], ours.Keys));
            worst = Math.Max(worst, step.Top.Max(top => Math.Abs(ours[(int)top[0]] - top[1])));
        }
        return worst;
    }

    static SampledToken[] Generate(LocalGenerator generator, GreedyFixture.Case expected) =>
        [.. generator.Generate(expected.PromptTokens, new SamplingOptions { TopLogprobs = 20 }, expected.Tokens.Length, new HashSet<int>())];

    static IReadOnlyList<LocalStagePlan> PlanOf(LlamaConfig config, string split)
    {
        if (split == "whole") return LocalStagePlan.Even(config.LayerCount, 1);
        var count = split[0] - '0';
        if (split.EndsWith("stages", StringComparison.Ordinal)) return LocalStagePlan.Even(config.LayerCount, count);
        var heads = count == 3 ? [0, config.HeadCount / 4, config.HeadCount / 2] : Even(config.HeadCount);   // two KV heads
        var slices = TestSlices.Cut(
            config, heads, Even(config.FfnSize, 32), Even(config.VocabularySize, RowGroup.Rows), Even(config.Experts!.FfnSize, RowGroup.Rows),
            split.EndsWith("whole experts", StringComparison.Ordinal) ? Even(config.Experts.Count) : null);
        return [new LocalStagePlan(StageShape.Whole(config.LayerCount), slices)];

        int[] Even(int total, int unit = 1) => [.. Enumerable.Range(0, count).Select(rank => total / unit * rank / count * unit)];
    }
}

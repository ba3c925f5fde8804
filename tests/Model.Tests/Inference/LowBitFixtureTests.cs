using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Local;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using Xunit.Abstractions;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>
/// The demo model in types of few bits against what llama.cpp generated from the same files. Such texts come to near ties, where a last bit decides:
/// ids are the same up to the first of them, log-probabilities close.
/// </summary>
public sealed class LowBitFixtureTests(ITestOutputHelper output)
{
    const string Folder = "models/quants/demo-";

    /// <summary>Recorded log-probabilities of the two best ids that are closer than this are a tie.</summary>
    const double NearTie = 0.25;

    /// <summary>Of the log-probability of the first token that was chosen.</summary>
    const double ChosenTolerance = 0.05;

    /// <summary>
    /// Of a model in three values a weight that was not trained so, whose log-probabilities the kind of KV storage alone moves by 0.05.
    /// </summary>
    const double TernaryTolerance = 0.1;

    /// <summary>Of the ten best ids of the first token.</summary>
    const double TopTolerance = 0.3;

    [SharedFact(Folder + "IQ4_NL.gguf")]
    public void Demo_in_iq4_nl() => Check("IQ4_NL");

    [SharedFact(Folder + "IQ4_XS.gguf")]
    public void Demo_in_iq4_xs() => Check("IQ4_XS");

    [SharedFact(Folder + "IQ3_S.gguf")]
    public void Demo_in_iq3_s() => Check("IQ3_S");

    [SharedFact(Folder + "IQ2_XS.gguf")]
    public void Demo_in_iq2_xs_with_q2_k() => Check("IQ2_XS");

    [SharedFact(Folder + "IQ1_S.gguf")]
    public void Demo_in_iq1_s_with_iq2_xxs_and_q2_k() => Check("IQ1_S");

    [SharedFact(Folder + "TQ2_0.gguf")]
    public void Demo_in_tq2_0() => Check("TQ2_0", TernaryTolerance);

    [SharedFact(Folder + "MXFP4.gguf")]
    public void Demo_in_mxfp4() => Check("MXFP4");

    [SharedFact(Folder + "Q2_0.gguf")]
    public void Demo_in_q2_0() => Check("Q2_0");

    void Check(string type, double tolerance = ChosenTolerance)
    {
        foreach (var kv in new[] { KvType.F16, KvType.F32 })
        {
            using var source = ModelFiles.Open(SharedFiles.Shared($"{Folder}{type}.gguf"));
            using var generator = new LocalGenerator(source, new LocalGeneratorOptions { Threads = 2, KvType = kv });
            double chosen = 0, top = 0;
            var (compared, recorded) = (0, 0);
            foreach (var expected in GreedyFixture.Read($"demo-{type.ToLowerInvariant()}").Cases)
            {
                var tokens = generator.Generate(
                    expected.PromptTokens, new SamplingOptions { TopLogprobs = 20 }, expected.Tokens.Length, new HashSet<int>()).ToArray();
                (chosen, top) = (Math.Max(chosen, ChosenDifference(tokens[0], expected.Steps[0])), Math.Max(top, TopDifference(tokens[0], expected.Steps[0])));
                var same = tokens.Zip(expected.Tokens).TakeWhile(pair => pair.First.Id == pair.Second).Count();
                if (same < expected.Tokens.Length)
                {
                    var step = expected.Steps[same];
                    var gap = step.Top[0][1] - step.Top[1][1];
                    Assert.True(
                        gap < NearTie, $"{type}, KV {kv}: token {same} of {expected.Prompt} is {tokens[same].Id}, not {step.Id}, which was {gap:F3} ahead");
                }

                compared += same;
                recorded += expected.Tokens.Length;
            }

            output.WriteLine($"{type}, KV {kv}: {compared} of {recorded} ids before a tie; first tokens: chosen {chosen:F4}, ten best {top:F3}");
            Assert.InRange(chosen, 0, tolerance);
            Assert.InRange(top, 0, TopTolerance);
        }
    }

    static double ChosenDifference(SampledToken token, GreedyFixture.Step step) =>
        token.Id == step.Id ? Math.Abs(token.Logprob - step.Logprob) : TopDifference(token, step);

    static double TopDifference(SampledToken token, GreedyFixture.Step step)
    {
        var ours = token.Top.ToDictionary(t => t.Id, t => t.Logprob);
        return step.Top.Where(t => ours.ContainsKey((int)t[0])).Max(t => Math.Abs(ours[(int)t[0]] - t[1]));
    }
}

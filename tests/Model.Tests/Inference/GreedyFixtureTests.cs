using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Local;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using Xunit.Abstractions;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>Real trained weights against what llama.cpp generated from the same files: the same ids at every step, log-probabilities close.</summary>
public sealed class GreedyFixtureTests(ITestOutputHelper output)
{
    const string Stories = "stories260K-f32kv";

    /// <summary>
    /// Of float weights where llama.cpp too kept keys and values in f32: it is within 2e-5 of double precision then, and so must we be. This is what
    /// the accuracy of the whole forward pass is held by.
    /// </summary>
    const double ExactTolerance = 1e-4;

    /// <summary>Of files without quantised weights; llama.cpp attended in half precision when they were recorded.</summary>
    const double FloatTolerance = 2e-3;

    /// <summary>Keys and values rounded to half precision, against recorded ones that were not.</summary>
    const double HalfKvTolerance = 5e-3;

    /// <summary>Of quantised files: which of two neighbouring integers an activation is rounded to decides on differences of this size.</summary>
    const double QuantizedTolerance = 0.05;

    [SharedFact("models/stories260K.gguf")]
    public void Stories_260K() => Check(Stories, SharedFiles.Shared("models/stories260K.gguf"), HalfKvTolerance, ExactTolerance);

    [Fact]
    public void Demo_as_Hugging_Face_folder() => Check("demo-f16", SharedFiles.Demo("hf"), FloatTolerance);

    [SharedFact("models/demo/llamacluster-demo-5m-f16.gguf")]
    public void Demo_in_f16() => Check("demo-f16", SharedFiles.Shared("models/demo/llamacluster-demo-5m-f16.gguf"), FloatTolerance);

    [Fact]
    public void Demo_in_q8_0() => Check("demo-q8_0", SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"), QuantizedTolerance);

    [Fact]
    public void Demo_in_q4_k_m() => Check("demo-q4_k_m", SharedFiles.Demo("llamacluster-demo-5m-q4_k_m.gguf"), QuantizedTolerance);

    [SharedFact("models/demo/llamacluster-demo-5m-q4_0.gguf")]
    public void Demo_in_q4_0() => Check("demo-q4_0", SharedFiles.Shared("models/demo/llamacluster-demo-5m-q4_0.gguf"), QuantizedTolerance);

    [SharedFact("models/demo/llamacluster-demo-5m-q6_k.gguf")]
    public void Demo_in_q6_k() => Check("demo-q6_k", SharedFiles.Shared("models/demo/llamacluster-demo-5m-q6_k.gguf"), QuantizedTolerance);

    /// <summary>The recording itself, and ours, against the reference in plain loops and double precision.</summary>
    [SharedFact("models/stories260K.gguf")]
    public void Stories_260K_in_plain_loops()
    {
        using var weights = ModelFiles.Open(SharedFiles.Shared("models/stories260K.gguf"));
        using var generator = new LocalGenerator(weights, new LocalGeneratorOptions { Threads = 2, KvType = KvType.F32 });
        var (ours, recorded) = (0.0, 0.0);
        foreach (var expected in GreedyFixture.Read(Stories).Cases.Take(3))
        {
            int[] tokens = [.. expected.PromptTokens, .. expected.Tokens];
            var first = expected.PromptTokens.Length - 1;
            var exact = Logprobs(new ReferenceModel(weights), tokens)[first..];
            var scored = generator.Score(tokens).Skip(first).Select(token => (double)token.Logprob);
            ours = Math.Max(ours, Worst(scored, exact));
            recorded = Math.Max(recorded, Worst(expected.Steps.Select(step => step.Logprob), exact));
        }

        output.WriteLine($"from double precision: ours {ours:E1}, the recorded ones {recorded:E1}");
        Assert.InRange(ours, 0, ExactTolerance);
        Assert.InRange(recorded, 0, ExactTolerance / 2);
    }

    /// <summary>Of each token but the first, given those before it.</summary>
    static double[] Logprobs(ReferenceModel model, int[] tokens) =>
        [.. tokens.Zip(tokens.Skip(1), (token, next) => ReferenceModel.LogSoftmax(model.Next(token))[next])];

    static double Worst(IEnumerable<double> a, IEnumerable<double> b) => a.Zip(b, (x, y) => Math.Abs(x - y)).Max();

    void Check(string fixture, string path, double tolerance) => Check(fixture, path, tolerance, tolerance);

    void Check(string fixture, string path, double halfKvTolerance, double tolerance)
    {
        foreach (var (type, allowed) in new[] { (KvType.F16, halfKvTolerance), (KvType.F32, tolerance) })
        {
            using var source = ModelFiles.Open(path);
            using var generator = new LocalGenerator(source, new LocalGeneratorOptions { Threads = 2, KvType = type });
            var (chosen, top) = (0.0, 0.0);
            foreach (var expected in GreedyFixture.Read(fixture).Cases)
            {
                var tokens = generator.Generate(
                    expected.PromptTokens, new SamplingOptions { TopLogprobs = 20 }, expected.Tokens.Length, new HashSet<int>()).ToArray();
                Assert.Equal(expected.Tokens, tokens.Select(token => token.Id));
                foreach (var (token, step) in tokens.Zip(expected.Steps))
                {
                    chosen = Math.Max(chosen, Math.Abs(token.Logprob - step.Logprob));
                    var ours = token.Top.ToDictionary(t => t.Id, t => t.Logprob);
                    foreach (var other in step.Top.Where(t => ours.ContainsKey((int)t[0])))
                        top = Math.Max(top, Math.Abs(ours[(int)other[0]] - other[1]));
                }
            }

            output.WriteLine($"{Path.GetFileName(path)}, KV {type}: "
                + $"greatest difference of the chosen ids' log-probability {chosen:F5}, of the ten best ids' {top:F5}");
            Assert.InRange(chosen, 0, allowed);
            if (allowed == ExactTolerance) Assert.InRange(top, 0, allowed);
        }
    }
}

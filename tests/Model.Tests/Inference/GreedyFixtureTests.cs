using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;
using LlamaCluster.Testing;
using Xunit.Abstractions;

namespace LlamaCluster.Model.Tests.Inference;

/// <summary>Real trained weights against what llama.cpp generated from the same files: the same ids at every step, log-probabilities close.</summary>
public sealed class GreedyFixtureTests(ITestOutputHelper output)
{
    /// <summary>For files without quantised weights.</summary>
    const double FloatTolerance = 2e-3;

    /// <summary>For quantised files, for which llama.cpp rounds activations in its own way.</summary>
    const double QuantizedTolerance = 0.05;

    [SharedFact("models/stories260K.gguf")]
    public void Stories_260K() => Check("stories260K", SharedFiles.Shared("models/stories260K.gguf"), FloatTolerance);

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

    void Check(string fixture, string path, double tolerance)
    {
        foreach (var type in new[] { KvType.F16, KvType.F32 })
        {
            using var source = ModelFiles.Open(path);
            using var generator = new LocalGenerator(source, new LocalGeneratorOptions { Threads = 2, KvType = type });
            var (chosen, top) = (0.0, 0.0);
            foreach (var expected in GreedyFixture.Read(fixture).Cases)
            {
                var tokens = generator.Generate(expected.PromptTokens, new SamplingOptions { TopLogprobs = 20 }, expected.Tokens.Length, new HashSet<int>()).ToArray();
                Assert.Equal(expected.Tokens, tokens.Select(token => token.Id));
                foreach (var (token, step) in tokens.Zip(expected.Steps))
                {
                    chosen = Math.Max(chosen, Math.Abs(token.Logprob - step.Logprob));
                    var ours = token.Top.ToDictionary(t => t.Id, t => t.Logprob);
                    foreach (var other in step.Top.Where(t => ours.ContainsKey((int)t[0])))
                        top = Math.Max(top, Math.Abs(ours[(int)other[0]] - other[1]));
                }
            }

            output.WriteLine($"{Path.GetFileName(path)}, KV {type}: greatest difference of the chosen ids' log-probability {chosen:F5}, of the ten best ids' {top:F5}");
            Assert.InRange(chosen, 0, tolerance);
        }
    }
}

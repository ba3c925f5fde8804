using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Kernels.Tests;

/// <summary>The demo model in llama.cpp's quantisations decodes to nearly what its f16 file holds.</summary>
public sealed class DemoFileTests
{
    const string Folder = "models/demo/llamacluster-demo-5m-";
    const string QuantFolder = "models/quants/demo-";

    [SharedFact(Folder + "q8_0.gguf")]
    public void Q8_0_file() => Expect("q8_0", (TensorType.Q8_0, 0.006));

    [SharedFact(Folder + "q6_k.gguf")]
    public void Q6_k_file() => Expect("q6_k", (TensorType.Q6_K, 0.02));

    [SharedFact(Folder + "q4_0.gguf")]
    public void Q4_0_file() => Expect("q4_0", (TensorType.Q4_0, 0.1));

    [SharedFact(Folder + "q4_k_m.gguf")]
    public void Q4_k_m_file() => Expect("q4_k_m", (TensorType.Q4_K, 0.08), (TensorType.Q6_K, 0.02));

    [SharedFact(QuantFolder + "IQ4_NL.gguf")]
    public void Iq4_nl_file() => ExpectFile(QuantFolder + "IQ4_NL.gguf", (TensorType.IQ4_NL, 0.09));

    [SharedFact(QuantFolder + "IQ4_XS.gguf")]
    public void Iq4_xs_file() => ExpectFile(QuantFolder + "IQ4_XS.gguf", (TensorType.IQ4_XS, 0.09));

    [SharedFact(QuantFolder + "IQ3_S.gguf")]
    public void Iq3_s_file() => ExpectFile(QuantFolder + "IQ3_S.gguf", (TensorType.IQ3_S, 0.2));

    [SharedFact(QuantFolder + "IQ2_XS.gguf")]
    public void Iq2_xs_file() => ExpectFile(QuantFolder + "IQ2_XS.gguf", (TensorType.IQ2_XS, 0.4));

    [SharedFact(QuantFolder + "IQ1_S.gguf")]
    public void Iq1_s_file() => ExpectFile(QuantFolder + "IQ1_S.gguf", (TensorType.IQ1_S, 0.6), (TensorType.IQ2_XXS, 0.45));

    [SharedFact(QuantFolder + "MXFP4.gguf")]
    public void Mxfp4_file() => ExpectFile(QuantFolder + "MXFP4.gguf", (TensorType.MXFP4, 0.15));

    [SharedFact(QuantFolder + "TQ2_0.gguf")]
    public void Tq2_0_file() => ExpectFile(QuantFolder + "TQ2_0.gguf", (TensorType.TQ2_0, 0.85));

    [SharedFact(QuantFolder + "Q2_0.gguf")]
    public void Q2_0_file() => ExpectFile(QuantFolder + "Q2_0.gguf", (TensorType.Q2_0, 0.8));

    static void Expect(string name, params (TensorType Type, double Error)[] expected) => ExpectFile($"{Folder}{name}.gguf", expected);

    static void ExpectFile(string file, params (TensorType Type, double Error)[] expected)
    {
        var quantised = new DemoFile(SharedFiles.Shared(file));
        var original = new DemoFile(SharedFiles.Shared($"{Folder}f16.gguf"));
        foreach (var (type, limit) in expected)
        {
            var tensors = quantised.Names.Where(n => quantised.TypeOf(n) == type).ToArray();
            Assert.NotEmpty(tensors);
            foreach (var tensor in tensors)
            {
                var error = RelativeError(quantised.Decode(tensor), original.Decode(tensor));
                Assert.True(error < limit, $"{tensor} ({type}) differs from f16 by {error:P2} of its size");
            }
        }
    }

    static double RelativeError(float[] actual, float[] expected) =>
        Math.Sqrt(actual.Zip(expected, (a, e) => ((double)a - e) * ((double)a - e)).Sum() / expected.Sum(e => (double)e * e));
}

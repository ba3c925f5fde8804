using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Formats.RandomNumbers;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Formats;

public sealed class ModelFactsTests
{
    [Fact]
    public void TheDemoModelHasTheFactsOfItsReadme()
    {
        using var weights = ModelFiles.Open(SharedFiles.Demo("llamacluster-demo-5m-q4_k_m.gguf"));

        var facts = ModelFacts.Of(weights);

        Assert.Equal("LlamaCluster demo 5M", facts.Name);
        Assert.Equal(5_247_232, facts.Parameters);
        Assert.Equal([TensorType.Q4_K, TensorType.Q6_K, TensorType.F32], facts.Types.Select(type => type.Type));
        Assert.Equal([48, 9, 17], facts.Types.Select(type => type.Count));
        Assert.Equal(2048L * 256 / 256 * 210, facts.EmbeddingBytes);
    }

    [Fact]
    public void PartsAddUpToTheWhole()
    {
        using var weights = new RandomWeights(ModelShape.Parse("llama-3.1-8b"), TensorType.Q4_K);

        var facts = ModelFacts.Of(weights);

        Assert.Equal(32, facts.LayerBytes.Count);
        Assert.Equal(facts.Bytes, facts.LayerBytes.Sum() + facts.EmbeddingBytes + facts.HeadBytes);
        Assert.Equal(facts.Bytes, facts.Types.Sum(type => type.Bytes));
    }

    /// <summary>As Meta gives them: 400 G parameters, 17 G of them for a token, and 109 G, 17 G.</summary>
    [Theory]
    [InlineData("llama-4-maverick", 400.7, 17.2)]
    [InlineData("llama-4-scout", 107.8, 17.2)]
    [InlineData("mixtral-8x7b", 46.7, 12.9)]
    public void OfExpertsATokenMeetsTheOnesItUses(string shape, double billions, double active)
    {
        using var weights = new RandomWeights(ModelShape.Parse(shape), TensorType.BF16);

        var facts = ModelFacts.Of(weights);

        Assert.Equal(billions, facts.Parameters / 1e9, 0.05);
        // The active ones are counted with the whole embedding there, and with one row of it here.
        Assert.Equal(active, (facts.ActiveParameters + facts.EmbeddingBytes / 2) / 1e9, 0.1);
        Assert.InRange(facts.ActiveBytes, 2 * facts.ActiveParameters, 2.02 * facts.ActiveParameters);
    }

    /// <summary>2.1 G numbers in its head, more than an int counts, and 405.9 G in all.</summary>
    [Fact]
    public void A405BModelIsCountedIn64Bits()
    {
        using var weights = new RandomWeights(ModelShape.Parse("llama-3.1-405b"), TensorType.BF16);

        var facts = ModelFacts.Of(weights);

        Assert.Equal(405_853_388_800, facts.Parameters);
        Assert.Equal(2L * 128_256 * 16_384, facts.EmbeddingBytes);
        Assert.All(facts.LayerBytes, bytes => Assert.Equal(2L * (2 * 16_384 * 16_384 + 2 * 1024 * 16_384 + 3L * 53_248 * 16_384) + 2 * 16_384 * 4, bytes));
        Assert.Equal(126 * 2 * 8 * 128 * 2, facts.KvBytesPerToken[KvType.F16]);
    }

    [Fact]
    public void KvBytesPerTokenAreTwoVectorsPerLayer()
    {
        using var weights = new RandomWeights(ModelShape.Parse("llama-3.1-8b"), TensorType.Q4_K);

        var facts = ModelFacts.Of(weights);

        Assert.Equal(2 * 32 * 8 * 128 * 2, facts.KvBytesPerToken[KvType.F16]);
        Assert.Equal(2 * 32 * 8 * 128 * 4, facts.KvBytesPerToken[KvType.F32]);
    }
}

using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Tests.Formats.Quantization;

public sealed class TensorMixTests
{
    /// <summary>The sizes under which the published files are known.</summary>
    [Theory]
    [InlineData("llama-3.1-8b", "q4_k_m", 4.92)]
    [InlineData("llama-3.1-70b", "q4_k_m", 42.5)]
    [InlineData("llama-3.1-405b", "q4_k_m", 243.1)]
    [InlineData("llama-3.1-8b", "q8_0", 8.53)]
    public void Sizes_are_those_of_published_files(string shape, string mix, double gigabytes)
        => Assert.Equal(gigabytes, Tensors(shape, mix).Sum(tensor => tensor.Bytes) / 1e9, gigabytes * 0.003);

    [Fact]
    public void The_head_and_part_of_the_layers_have_more_bits()
    {
        var types = Tensors("llama-3.1-8b", "Q4_K_M").ToDictionary(tensor => tensor.Name, tensor => tensor.Type);
        Assert.Equal(TensorType.Q6_K, types["output.weight"]);
        Assert.Equal(TensorType.Q4_K, types["token_embd.weight"]);
        Assert.Equal(TensorType.F32, types["blk.0.attn_norm.weight"]);
        Assert.Equal(
            (TensorType.Q6_K, TensorType.Q4_K, TensorType.Q6_K),
            (types["blk.0.attn_v.weight"], types["blk.4.attn_v.weight"], types["blk.6.ffn_down.weight"]));
    }

    [Fact]
    public void A_plain_type_is_that_of_every_matrix()
        => Assert.Equal([TensorType.F32, TensorType.Q4_0], Tensors("llama-3.2-1b", "q4_0").Select(tensor => tensor.Type).Distinct().Order());

    [Fact]
    public void An_unknown_mix_is_none() => Assert.Null(TensorMix.TensorsOf(ModelShape.Parse("llama-3.2-1b").Config, "q9"));

    [Fact]
    public void A_type_that_does_not_go_with_the_shape_is_refused()
        => Assert.Throws<ModelFormatException>(() => TensorMix.TensorsOf(ModelShape.Parse("hidden=64,layers=1,ffn=64,heads=2,vocab=32").Config, "q4_k_m"));

    static IReadOnlyList<TensorInfo> Tensors(string shape, string mix) => TensorMix.TensorsOf(ModelShape.Parse(shape).Config, mix)!;
}

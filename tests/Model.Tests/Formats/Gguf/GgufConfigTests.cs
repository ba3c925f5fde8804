using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.Gguf;

public sealed class GgufConfigTests : IDisposable
{
    readonly TempFolder _folder = new();

    public static TheoryData<string, Action<GgufPairs>, string> Refused => new()
    {
        { "architecture", p => p.Set("general.architecture", "qwen2"), "general.architecture is 'qwen2', which is not supported; only 'llama' is" },
        { "no architecture", p => p.Remove("general.architecture"), "general.architecture is missing from the metadata" },
        { "adapter", p => p.Set("general.type", "adapter"), "general.type is 'adapter'; only a whole model can be run" },
        { "experts", p => p.Set("llama.expert_count", 8u), "llama.expert_count is 8; mixtures of experts are not supported" },
        { "window", p => p.Set("llama.attention.sliding_window", 4096u), "llama.attention.sliding_window is 4096" },
        { "not causal", p => p.Set("llama.attention.causal", false), "llama.attention.causal is false" },
        { "scale", p => p.Set("llama.attention.scale", 0.5f), "llama.attention.scale is 0.5" },
        { "logit scale", p => p.Set("llama.logit_scale", 2f), "llama.logit_scale is 2" },
        { "yarn", p => p.Set("llama.rope.scaling.type", "yarn"), "llama.rope.scaling.type is 'yarn', which is not supported" },
        { "longrope", p => p.Set("llama.rope.scaling.type", "longrope"), "llama.rope.scaling.type is 'longrope'" },
        { "value length", p => p.Set("llama.attention.value_length", 8u), "llama.attention.value_length is 8; only heads with keys and values of one length (16)" },
        { "no layers", p => p.Set("llama.block_count", 0u), "layer count is 0; it must be from 1 to 4096" },
        { "layers", p => p.Set("llama.block_count", uint.MaxValue), "llama.block_count is 4294967295, which is out of range" },
        { "layers missing", p => p.Remove("llama.block_count"), "llama.block_count is missing from the metadata" },
        { "one layer more", p => p.Set("llama.block_count", 4u), "tensor blk.3.attn_norm.weight is missing" },
        { "one layer less", p => p.Set("llama.block_count", 2u), "tensor 'blk.2.attn_norm.weight' is not one of a Llama model of this config" },
        { "hidden", p => p.Set("llama.embedding_length", 32u), "tensor token_embd.weight has shape [288, 64]; the config asks for [288, 32]" },
        { "kv heads", p => p.Set("llama.attention.head_count_kv", 3u), "head count 4 is not a multiple of KV head count 3" },
        { "heads 0", p => p.Set("llama.attention.head_count", 0u), "head count is 0" },
        { "heads as a string", p => p.Set("llama.attention.head_count", "4"), "llama.attention.head_count is of type String; expected an integer" },
        { "epsilon", p => p.Set("llama.attention.layer_norm_rms_epsilon", float.NaN), "RMS epsilon is NaN" },
        { "base", p => p.Set("llama.rope.freq_base", -1f), "RoPE base is -1" },
        { "odd rotation", p => p.Set("llama.rope.dimension_count", 7u), "RoPE dimension count is 7" },
        { "vocabulary", p => p.Set("tokenizer.ggml.tokens", ["a", "b"]), "tokenizer.ggml.tokens has 2 entries, but token_embd.weight has 288 rows" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void WhatWouldBeComputedWronglyIsRefusedByKey(string what, Action<GgufPairs> change, string expected)
    {
        var path = Write(what, change);

        BadModel.AssertRefused(path, expected);
    }

    [Fact]
    public void OptionalKeysHaveTheirDefaults()
    {
        var config = Read("defaults", pairs =>
        {
            foreach (var key in (string[])["llama.attention.key_length", "llama.attention.value_length", "llama.rope.dimension_count", "llama.rope.freq_base", "llama.vocab_size"])
                pairs.Remove(key);
        });

        Assert.Equal(SyntheticModel.Small.Config, config);
    }

    [Theory]
    [InlineData("llama.rope.scaling.factor")]
    [InlineData("llama.rope.scale_linear")]
    public void AFactorWithoutATypeIsLinearScaling(string key) =>
        Assert.Equal(new RopeScaling.Linear(4), Read("factor", pairs => pairs.Set(key, 4f)).RopeScaling);

    [Fact]
    public void ScalingOfTypeNoneIsNone() => Assert.Null(Read("none", pairs =>
    {
        pairs.Set("llama.rope.scaling.type", "none");
        pairs.Set("llama.rope.scaling.factor", 4f);
    }).RopeScaling);

    [Fact]
    public void TwoKindsOfScalingAtOnceAreRefused()
    {
        var model = SyntheticModel.Small with { Config = SyntheticModel.Small.Config with { RopeScaling = new RopeScaling.Factors([1, 1, 1, 1, 2, 2, 2, 2]) } };
        var path = model.WriteGguf(_folder.File("both.gguf"), tokenizer: pairs => pairs.Set("llama.rope.scaling.factor", 2f));

        BadModel.AssertRefused(path, "llama.rope.scaling.factor is set and rope_freqs.weight is there too");
    }

    public void Dispose() => _folder.Dispose();

    string Write(string what, Action<GgufPairs> change) => SyntheticModel.Small.WriteGguf(_folder.File($"{what}.gguf"), tokenizer: change);

    LlamaConfig Read(string what, Action<GgufPairs> change)
    {
        using var weights = ModelFiles.Open(Write(what, change));
        return weights.Config;
    }
}

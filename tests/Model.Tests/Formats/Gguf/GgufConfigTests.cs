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
        { "architecture", p => p.Set("general.architecture", "qwen2"),
            "general.architecture is 'qwen2', which is not supported; llama, llama4, mistral3, deci are" },
        { "no architecture", p => p.Remove("general.architecture"), "general.architecture is missing from the metadata" },
        { "adapter", p => p.Set("general.type", "adapter"), "general.type is 'adapter'; only a whole model can be run" },
        { "experts that are not there", p => p.Set("llama.expert_count", 8u), "llama.expert_used_count is missing from the metadata" },
        { "windows in some layers", p => p.Set("llama.attention.sliding_window_pattern", 4u),
            "llama.attention.sliding_window_pattern is there; only windows in all layers or in none" },
        { "negative window", p => p.Set("llama.attention.sliding_window", -1), "sliding window is -1; it must be from 1" },
        { "not causal", p => p.Set("llama.attention.causal", false), "llama.attention.causal is false" },
        { "scale", p => p.Set("llama.attention.scale", 0.5f), "llama.attention.scale is 0.5" },
        { "logit scale", p => p.Set("llama.logit_scale", 2f), "llama.logit_scale is 2" },
        { "longrope", p => p.Set("llama.rope.scaling.type", "longrope"),
            "llama.rope.scaling.type is 'longrope', which is not supported; 'none', 'linear' and 'yarn' are" },
        { "yarn in part", p => Yarn(p).Set("llama.rope.scaling.yarn_ext_factor", 0.5f),
            "llama.rope.scaling.yarn_ext_factor is 0.5, which is not supported; 1 is" },
        { "yarn upside down", p => Yarn(p).Set("llama.rope.scaling.yarn_beta_slow", 64f), "YaRN's beta_fast 32 is below its beta_slow, 64" },
        { "value length", p => p.Set("llama.attention.value_length", 8u),
            "llama.attention.value_length is 8; only heads with keys and values of one length (16)" },
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
            string[] keys =
            [
                "llama.attention.key_length", "llama.attention.value_length",
                "llama.rope.dimension_count", "llama.rope.freq_base", "llama.vocab_size",
            ];
            foreach (var key in keys)
                pairs.Remove(key);
        });

        Assert.Equal(SyntheticModel.Small.Config, config);
    }

    [Theory]
    [InlineData("llama.rope.scaling.factor")]
    [InlineData("llama.rope.scale_linear")]
    public void AFactorWithoutATypeIsLinearScaling(string key) =>
        Assert.Equal(new RopeScaling.Linear(4), Read("factor", pairs => pairs.Set(key, 4f)).RopeScaling);

    public static TheoryData<string, Action<GgufPairs>, RopeScaling?> Yarns => new()
    {
        { "usual", _ => { }, new RopeScaling.Yarn(16, 256, 32, 1, 1.2772589f) },
        { "factor 1", p => p.Set("llama.rope.scaling.factor", 1f), null },
        { "unset ext factor", p => p.Set("llama.rope.scaling.yarn_ext_factor", -1f), new RopeScaling.Yarn(16, 256, 32, 1, 1.2772589f) },
        {
            "borders", p =>
            {
                p.Set("llama.rope.scaling.original_context_length", 64u);
                p.Set("llama.rope.scaling.yarn_beta_fast", 4f);
                p.Set("llama.rope.scaling.yarn_beta_slow", 0.5f);
            },
            new RopeScaling.Yarn(16, 64, 4, 0.5f, 1.2772589f)
        },
        { "made up for", p => p.Set("llama.rope.scaling.yarn_log_multiplier", 1f), new RopeScaling.Yarn(16, 256, 32, 1, 1) },
        { "stated", p => p.Set("llama.rope.scaling.yarn_attn_factor", 0.75f), new RopeScaling.Yarn(16, 256, 32, 1, 0.75f) },
        { "a further factor", p => p.Set("llama.rope.scaling.attn_factor", 0.5f), new RopeScaling.Yarn(16, 256, 32, 1, 0.63862944f) },
    };

    /// <summary>As llama.cpp makes numbers of these keys; 1.2772589 is 1 + 0.1 ln 16. yarn_log_multiplier is the weight that it is divided by.</summary>
    [Theory]
    [MemberData(nameof(Yarns))]
    public void YarnIsRead(string what, Action<GgufPairs> change, RopeScaling? expected) =>
        Assert.Equal(expected, Read(what, pairs => change(Yarn(pairs))).RopeScaling);

    [Fact]
    public void BiasesAreThoseThatTheFileHas()
    {
        foreach (var biases in (AttentionBiases[])[AttentionBiases.Inputs, AttentionBiases.Output, AttentionBiases.Inputs | AttentionBiases.Output])
        {
            var model = SyntheticModel.Small with { Config = SyntheticModel.Small.Config with { Biases = biases } };
            using var weights = ModelFiles.Open(model.WriteGguf(_folder.File($"{(int)biases}.gguf")));
            Assert.Equal(model.Config, weights.Config);
        }
    }

    [Theory]
    [InlineData(0u, null)]
    [InlineData(64u, 64)]
    [InlineData(255u, 255)]
    [InlineData(256u, null)]
    [InlineData(4096u, null)]
    public void AWindowThatHidesPositionsIsRead(uint window, int? expected) =>
        Assert.Equal(expected, Read("window", pairs => pairs.Set("llama.attention.sliding_window", window)).Window);

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

    static GgufPairs Yarn(GgufPairs pairs)
    {
        pairs.Set("llama.rope.scaling.type", "yarn");
        pairs.Set("llama.rope.scaling.factor", 16f);
        return pairs;
    }

    string Write(string what, Action<GgufPairs> change) => SyntheticModel.Small.WriteGguf(_folder.File($"{what}.gguf"), tokenizer: change);

    LlamaConfig Read(string what, Action<GgufPairs> change)
    {
        using var weights = ModelFiles.Open(Write(what, change));
        return weights.Config;
    }
}

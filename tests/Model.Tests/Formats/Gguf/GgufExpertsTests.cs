using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.Gguf;

/// <summary>Files of models with other layers than Llama's: what is written is read again, and stacks of experts are taken apart.</summary>
public sealed class GgufExpertsTests : IDisposable
{
    readonly TempFolder _folder = new();

    static SyntheticModel Mixtral { get; } = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with
        {
            Experts = new ExpertMixture { Count = 4, UsedCount = 2, FfnSize = 96, LayerStep = 1, Gate = ExpertGate.Softmax, HasShared = false },
        },
    };

    static SyntheticModel Llama4 { get; } = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with
        {
            Experts = new ExpertMixture { Count = 6, UsedCount = 1, FfnSize = 32, LayerStep = 2, Gate = ExpertGate.Sigmoid, HasShared = true },
            Chunks = ChunkedAttention.Llama4,
            QueryScale = QueryScale.Llama4,
            NormsHeads = true,
        },
    };

    /// <summary>Its heads are not normed, as the number of experts says.</summary>
    static SyntheticModel Maverick { get; } = Llama4 with
    {
        Config = Llama4.Config with { NormsHeads = false, Experts = Llama4.Config.Experts! with { Count = 128 } },
        Type = TensorType.Q8_0,
    };

    static SyntheticModel Mistral3 { get; } = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with
        {
            RopeScaling = new RopeScaling.Yarn(16, 16, 32, 1, 1),
            QueryScale = new QueryScale(Growth: 0.1f, Span: 16, Offset: 0),
            Biases = AttentionBiases.Inputs | AttentionBiases.Output,
            Window = 100,
        },
    };

    static SyntheticModel Nemotron { get; } = SyntheticModel.Small with
    {
        Config = SyntheticModel.Small.Config with { Sizes = new SizesOfLayers([new(4, 2, 96), new(4, 0, 32), new(0, 0, 0)]) },
    };

    public static TheoryData<string> Models => ["mixtral", "llama 4", "maverick", "mistral 3", "nemotron"];

    public static TheoryData<string, Action<GgufPairs>, string> Refused => new()
    {
        { "llama 4", p => p.Set("llama4.expert_used_count", 7u), "used expert count is 7; it must be from 1 to 6" },
        { "llama 4", p => p.Set("llama4.expert_used_count", 0u), "used expert count is 0" },
        { "llama 4", p => p.Set("llama4.expert_count", 1u), "expert count is 1" },
        { "llama 4", p => p.Set("llama4.expert_count", 7u), "tensor blk.1.ffn_gate_inp.weight has shape [6, 64]; the config asks for [7, 64]" },
        { "llama 4", p => p.Set("llama4.expert_feed_forward_length", 64u),
            "tensor blk.1.ffn_gate_exps.weight (expert 0) has shape [32, 64]; the config asks for [64, 64]" },
        { "llama 4", p => p.Set("llama4.interleave_moe_layer_step", 1u), "tensor blk.0.ffn_gate_inp.weight is missing" },
        { "llama 4", p => p.Set("llama4.interleave_moe_layer_step", 0u), "expert layer step is 0" },
        { "llama 4", p => p.Remove("llama4.expert_count"), "llama4.expert_count is missing" },
        { "llama 4", p => p.Set("llama4.attention.sliding_window", 0u), "llama4.attention.sliding_window is 0; only attention in chunks of 8192" },
        { "llama 4", p => p.Set("llama4.attention.sliding_window_pattern", 2u), "llama4.attention.sliding_window_pattern is 2" },
        { "mistral 3", p => p.Set("mistral3.attention.temperature_scale", float.NaN), "query scale is NaN" },
        { "mistral 3", p => p.Set("mistral3.attention.temperature_length", 8u),
            "mistral3.attention.temperature_length is 8; only that of mistral3.rope.scaling" },
        { "nemotron", p => p.Set("deci.attention.head_count", [4, 4]), "deci.attention.head_count has 2 numbers for 3 layers" },
        { "nemotron", p => p.Set("deci.attention.head_count_kv", [3, 0, 0]), "layer 0: head count 4 is not a multiple of KV head count 3" },
        { "nemotron", p => p.Set("deci.attention.head_count_kv", [2, 0, 2]), "layer 2: head count 0 is not a multiple of KV head count 2" },
        { "nemotron", p => p.Set("deci.feed_forward_length", [96, 32, -1]), "layer 2: 0 heads, 0 KV heads and feed-forward -1 are negative" },
        { "nemotron", p => p.Set("deci.feed_forward_length", [96, 32, 64]), "tensor blk.2.ffn_norm.weight is missing" },
        { "nemotron", p => p.Set("deci.feed_forward_length", [96, 0, 0]), "tensor 'blk.1.ffn_norm.weight' is not one of a Llama model" },
        { "mixtral", p => p.Remove("llama.expert_count"), "tensor blk.0.ffn_gate.weight is missing" },
        { "mixtral", p => p.Set("llama.expert_used_count", 5u), "used expert count is 5; it must be from 1 to 4" },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public void WhatIsWrittenIsRead(string name)
    {
        var model = ModelOf(name);
        using var expected = model.Weights();
        using var actual = ModelFiles.Open(model.WriteGguf(_folder.File($"{name}.gguf")));

        Assert.Equal(expected.Config, actual.Config);
        Assert.Equal(expected.Tensors.OrderBy(tensor => tensor.Name), actual.Tensors.OrderBy(tensor => tensor.Name), TensorsAreEqual);
        foreach (var tensor in expected.Tensors)
        {
            var (wanted, stored) = (new byte[tensor.Bytes], new byte[tensor.Bytes]);
            expected.ReadRows(tensor, 0, wanted);
            actual.ReadRows(tensor, 0, stored);
            Assert.True(wanted.AsSpan().SequenceEqual(stored), tensor.Name);
        }
        Assert.Equal(expected.ComputeDigest(), actual.ComputeDigest());
    }

    [Fact]
    public void ExpertsOfALayerAreOneTensorOfTheFile()
    {
        using var file = GgufFile.Open(Llama4.WriteGguf(_folder.File("stacks.gguf")));
        var shapes = file.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Dimensions);

        Assert.Equal([64ul, 32, 6], shapes["blk.1.ffn_gate_exps.weight"]);
        Assert.Equal([64ul, 32, 6], shapes["blk.1.ffn_up_exps.weight"]);
        Assert.Equal([32ul, 64, 6], shapes["blk.1.ffn_down_exps.weight"]);
        Assert.Equal([32ul, 64], shapes["blk.1.ffn_down_shexp.weight"]);
        Assert.DoesNotContain("blk.1.ffn_gate.0.weight", shapes.Keys);
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public void WhatWouldBeComputedWronglyIsRefusedByKey(string name, Action<GgufPairs> change, string expected)
    {
        var path = ModelOf(name).WriteGguf(_folder.File("bad.gguf"), tokenizer: pairs =>
        {
            ByteVocabulary.Describe(pairs, SyntheticModel.Small.Config.VocabularySize);
            change(pairs);
        });

        BadModel.AssertRefused(path, expected);
    }

    [Fact]
    public void LayersThatGgufHasNoKeysForAreNotWritten()
    {
        foreach (var config in (LlamaConfig[])[Llama4.Config with { NormsHeads = false }, Mistral3.Config with { QueryScale = new QueryScale(0.1f, 17, 0) }])
            Assert.Throws<ModelFormatException>(() => (Llama4 with { Config = config }).WriteGguf(_folder.File("none.gguf")));
    }

    public void Dispose() => _folder.Dispose();

    static bool TensorsAreEqual(TensorInfo a, TensorInfo b) => a == b;

    static SyntheticModel ModelOf(string name) => name switch
    {
        "mixtral" => Mixtral,
        "maverick" => Maverick,
        "mistral 3" => Mistral3,
        "nemotron" => Nemotron,
        _ => Llama4,
    };
}

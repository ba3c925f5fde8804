using System.Text.Json.Nodes;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Model.Tests.Inference;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;

namespace LlamaCluster.Model.Tests.Formats.HuggingFace;

/// <summary>Folders of models with other layers than Llama's; experts stand in other forms than a GGUF file's.</summary>
public sealed class HuggingFaceExpertsTests : IDisposable
{
    readonly TempFolder _folder = new();

    public static TheoryData<string, int, TensorType> Models => new()
    {
        { "mixtral", 1, TensorType.F32 }, { "mixtral", 3, TensorType.BF16 }, { "llama 4", 1, TensorType.F32 }, { "llama 4", 2, TensorType.F16 },
        { "mistral 3", 2, TensorType.BF16 }, { "nemotron", 2, TensorType.BF16 },
    };

    public static TheoryData<string, string, string> Refused => new()
    {
        { "llama 4", """{"model_type": "llama3_text"}""", "model_type is 'llama3_text', which is not supported" },
        { "mixtral", """{"num_experts_per_tok": 9}""", "used expert count is 9; it must be from 1 to 5" },
        { "mixtral", """{"num_local_experts": 6}""", "tensor model.layers.0.block_sparse_moe.gate.weight has shape [5, 64]; the config asks for [6, 64]" },
        { "llama 4", """{"moe_layers": [0, 1]}""", "moe_layers are not every 2 layers" },
        { "llama 4", """{"no_rope_layers": [1, 1, 1, 1, 1]}""", "no_rope_layers have their zeros elsewhere than every 3 layers" },
        { "llama 4", """{"layer_types": ["full_attention"]}""", "layer_types are other than" },
        { "llama 4", """{"attention_chunk_size": null}""", "attention_chunk_size is missing" },
        { "llama 4", """{"attention_chunk_size": 40}""", "attention chunk size is 40; it must be a multiple of 16" },
        { "llama 4", """{"interleave_moe_layer_step": 0}""", "expert layer step is 0" },
        { "nemotron", """{"block_configs": null}""", "block_configs is missing" },
        { "nemotron", """{"block_configs": [{}]}""", "block_configs has 1 elements for 7 layers" },
        { "nemotron", """{"num_hidden_layers": 1, "block_configs": [{"attention": {"n_heads_in_group": 3}, "ffn": {"no_op": true}}]}""",
            "attention.n_heads_in_group is 3, which does not divide" },
        { "nemotron", """{"num_hidden_layers": 1, "block_configs": [{"attention": {"n_heads_in_group": 2, "num_sink_tokens": 4}}]}""",
            "attention.num_sink_tokens is there" },
        { "nemotron", """{"num_hidden_layers": 1, "block_configs": [{"attention": {"no_op": true}, "ffn": {"replace_with_linear": true}}]}""",
            "ffn.replace_with_linear is true" },
        { "nemotron", """{"num_hidden_layers": 1, "block_configs": [{"attention": {"no_op": true}, "ffn": {"ffn_mult": -1}}]}""",
            "ffn.ffn_mult is -1, of which no width follows" },
        { "llama 4", """{"intermediate_size": 32}""", "has shape [64, 64]; the config asks for [32, 64]" },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public void AFolderHasTheModelsNumbers(string shape, int shards, TensorType type)
    {
        var model = Model(shape) with { Type = type };
        using var expected = model.Weights();
        using var actual = ModelFiles.Open(model.WriteHuggingFace(_folder.File("hf"), shards));

        Assert.Equal(expected.Config, actual.Config);
        foreach (var tensor in expected.Tensors.Where(tensor => tensor.Rows > 1))
        {
            Assert.Equal(tensor, actual.Find(tensor.Name));
            Assert.Equal(Read(expected, TensorPart.Whole(tensor)), Read(actual, TensorPart.Whole(tensor)));
            var part = new TensorPart(tensor, 3, 2, 5, 7);
            Assert.Equal(Read(expected, part), Read(actual, part));
        }
    }

    [Theory]
    [InlineData("llama 4")]
    [InlineData("mistral 3")]
    [InlineData("biases")]
    [InlineData("nemotron")]
    [InlineData("sliding window")]
    public void AFolderGivesTheBitsOfTheModel(string shape)
    {
        var model = Model(shape);
        using var expected = model.Weights();
        using var actual = ModelFiles.Open(model.WriteHuggingFace(_folder.File("hf")));
        var tokens = Enumerable.Range(0, 80).Select(i => i * 7 % 288).ToArray();

        Assert.Equal(new ScoredRun(expected, tokens).Run(), new ScoredRun(actual, tokens).Run());
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public void WhatWouldBeComputedWronglyIsRefusedByField(string shape, string change, string expected)
    {
        var folder = Model(shape).WriteHuggingFace(_folder.File("hf"));
        var path = Path.Combine(folder, "config.json");
        var config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        var text = config["text_config"]?.AsObject() ?? config;
        foreach (var (name, value) in JsonNode.Parse(change)!.AsObject()) text[name] = value?.DeepClone();
        File.WriteAllText(path, config.ToJsonString());

        var error = Assert.Throws<ModelFormatException>(() => ModelFiles.Open(folder).Dispose());
        Assert.Contains(expected, error.Message);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>With a vocabulary that text can be written in.</summary>
    static SyntheticModel Model(string shape)
    {
        var model = TestModels.Shapes[shape];
        return model with { Config = model.Config with { VocabularySize = SyntheticModel.Small.Config.VocabularySize } };
    }

    static byte[] Read(IModelWeights weights, TensorPart part)
    {
        var bytes = new byte[part.Bytes];
        weights.ReadPart(part, bytes);
        return bytes;
    }
}

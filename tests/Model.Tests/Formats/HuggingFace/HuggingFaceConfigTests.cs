using System.Text.Json.Nodes;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.HuggingFace;
using LlamaCluster.Testing;

namespace LlamaCluster.Model.Tests.Formats.HuggingFace;

public sealed class HuggingFaceConfigTests : IDisposable
{
    // As published, without the fields that do not matter here.
    const string Llama1 = """
        {"architectures": ["LLaMAForCausalLM"], "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 11008, "max_sequence_length": 2048,
         "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "rms_norm_eps": 1e-06, "torch_dtype": "float16", "vocab_size": 32000}
        """;

    const string Llama2 = """
        {"architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "hidden_size": 8192, "intermediate_size": 28672, "max_position_embeddings": 4096,
         "model_type": "llama", "num_attention_heads": 64, "num_hidden_layers": 80, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
         "rope_scaling": null, "tie_word_embeddings": false, "torch_dtype": "float16", "vocab_size": 32000}
        """;

    const string Llama32 = """
        {"architectures": ["LlamaForCausalLM"], "attention_bias": false, "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 8192,
         "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
         "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192,
         "rope_type": "llama3"}, "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "vocab_size": 128256}
        """;

    readonly TempFolder _folder = new();

    public static TheoryData<string, string> Refused => new()
    {
        { """{"architectures": ["MistralForCausalLM"]}""", "architectures has 'MistralForCausalLM', which is not supported; only LlamaForCausalLM is" },
        { """{"model_type": "qwen2"}""", "model_type is 'qwen2', which is not supported" },
        { """{"model_type": null}""", "model_type is missing" },
        { """{"hidden_act": "gelu"}""", "hidden_act is 'gelu'; only 'silu' is supported" },
        { """{"quantization_config": {"quant_method": "gptq"}}""", "quantization_config is there (method 'gptq')" },
        { """{"attention_bias": true}""", "attention_bias is true; models with biases are not supported" },
        { """{"mlp_bias": true}""", "mlp_bias is true" },
        { """{"sliding_window": 4096}""", "sliding_window is 4096" },
        { """{"rope_scaling": {"type": "yarn", "factor": 4.0}}""", "rope_scaling.rope_type is 'yarn', which is not supported" },
        { """{"rope_scaling": {"type": "dynamic", "factor": 4.0}}""", "rope_scaling.rope_type is 'dynamic'" },
        { """{"rope_scaling": {"rope_type": "longrope", "factor": 4.0}}""", "rope_scaling.rope_type is 'longrope'" },
        { """{"rope_scaling": {"factor": 4.0}}""", "rope_scaling.type is missing" },
        { """{"rope_scaling": {"type": "linear"}}""", "rope_scaling.factor is missing" },
        { """{"rope_scaling": {"type": "linear", "factor": 0}}""", "RoPE scaling factor is 0" },
        { """{"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}""", "rope_scaling.low_freq_factor is missing" },
        { """{"rope_scaling": "linear"}""", "rope_scaling is a string; expected an object" },
        { """{"partial_rotary_factor": 0.5}""", "partial_rotary_factor is 0.5; only heads that are rotated as a whole" },
        { """{"rope_condense_ratio": 8}""", "rope_condense_ratio is 8" },
        { """{"hidden_size": null}""", "hidden_size is missing" },
        { """{"hidden_size": "64"}""", "hidden_size is a string; expected an integer of 32 bits" },
        { """{"hidden_size": 4096.5}""", "hidden_size is 4096.5; expected an integer of 32 bits" },
        { """{"hidden_size": 1e99}""", "hidden_size is 1e99; expected an integer of 32 bits" },
        { """{"hidden_size": 4097}""", "num_attention_heads is 64, which does not divide hidden_size 4097" },
        { """{"num_hidden_layers": 0}""", "layer count is 0; it must be from 1 to 4096" },
        { """{"num_attention_heads": 0}""", "num_attention_heads is 0, which does not divide hidden_size 8192" },
        { """{"num_key_value_heads": 5}""", "head count 64 is not a multiple of KV head count 5" },
        { """{"rms_norm_eps": 1e400}""", "RMS epsilon is" },
        { """{"tie_word_embeddings": 1}""", "tie_word_embeddings is 1; expected a boolean" },
        { """{"architectures": "LlamaForCausalLM"}""", "architectures is a string; expected an array" },
    };

    public static TheoryData<string, string> NotJson => new()
    {
        { "", "is empty, or no ordinary file" },
        { "[1]", "the file is not a JSON object" },
        { "{\"a\": 1, \"a\": 2}", "the file is not valid JSON" },
        { "{\"a\": " + new string('[', 10_000) + new string(']', 10_000) + "}", "the file is not valid JSON" },
        { string.Concat(Enumerable.Repeat("{\"a\":", 10_000)) + "1" + new string('}', 10_000), "the file is not valid JSON" },
        { "{\"model_type\": \"\\ud800\"}", "model_type is not valid Unicode" },
        { "version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer" },
    };

    [Fact]
    public void Llama1IsRead()
    {
        var config = Read(Llama1);

        Assert.Equal((32, 32, 128, 2048), (config.HeadCount, config.KvHeadCount, config.HeadSize, config.ContextLength));
        Assert.Equal((1e-6f, 10_000f, false), (config.RmsEpsilon, config.RopeTheta, config.TiedEmbeddings));
        Assert.Null(config.RopeScaling);
    }

    [Fact]
    public void Llama2IsRead()
    {
        var config = Read(Llama2);

        Assert.Equal((80, 8192, 28_672, 64, 8, 128, 4096), (config.LayerCount, config.HiddenSize, config.FfnSize, config.HeadCount, config.KvHeadCount, config.HeadSize, config.ContextLength));
    }

    [Fact]
    public void Llama32IsTheShapeOfItsName() => Assert.Equal(ModelShape.Parse("llama-3.2-1b").Config, Read(Llama32));

    [Fact]
    public void TheFormOfTransformers5IsTheSame()
    {
        var json = JsonNode.Parse(Llama32)!.AsObject();
        var rope = json["rope_scaling"]!.DeepClone();
        rope["rope_theta"] = 500_000;
        json.Remove("rope_scaling");
        json.Remove("rope_theta");
        json["rope_parameters"] = rope;

        Assert.Equal(Read(Llama32), Read(json.ToJsonString()));
    }

    [Fact]
    public void DefaultRopeParametersAreNoScaling()
    {
        var config = Read(With(Llama2, """{"rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}}"""));

        Assert.Null(config.RopeScaling);
        Assert.Equal(1e6f, config.RopeTheta);
    }

    [Theory]
    [InlineData("""{"rope_scaling": {}}""")]
    [InlineData("""{"rope_parameters": {"rope_theta": 10000.0}}""")]
    public void RopeSettingsThatSayNothingAreNoScaling(string change) => Assert.Equal(Read(Llama2), Read(With(Llama2, change)));

    [Fact]
    public void AWholeFloatIsAnInteger() =>
        Assert.Equal(Read(Llama2), Read(With(Llama2, """{"hidden_size": 8192.0, "vocab_size": 3.2e4, "max_position_embeddings": 4096.0}""")));

    [Fact]
    public void LinearScalingIsRead() =>
        Assert.Equal(new RopeScaling.Linear(8), Read(With(Llama2, """{"rope_scaling": {"type": "linear", "factor": 8}}""")).RopeScaling);

    [Fact]
    public void TheHeadSizeMayDifferFromTheHiddenSizeOverTheHeads() => Assert.Equal(96, Read(With(Llama2, """{"head_dim": 96}""")).HeadSize);

    [Theory]
    [MemberData(nameof(Refused))]
    public void WhatWouldBeComputedWronglyIsRefusedByField(string change, string expected) => AssertRefused(With(Llama2, change), expected);

    [Theory]
    [MemberData(nameof(NotJson))]
    public void WhatIsNotJsonIsRefused(string text, string expected) => AssertRefused(text, expected);

    [Fact]
    public void BytesThatAreNotUtf8AreRefused()
    {
        File.WriteAllBytes(_folder.File("config.json"), [(byte)'{', 0xff, (byte)'}']);

        BadModel.AssertRefused(_folder.Path, _folder.File("config.json"), "the file is not UTF-8");
    }

    public void Dispose() => _folder.Dispose();

    void AssertRefused(string text, string expected)
    {
        File.WriteAllText(_folder.File("config.json"), text);
        BadModel.AssertRefused(_folder.Path, _folder.File("config.json"), expected);
    }

    LlamaConfig Read(string text)
    {
        File.WriteAllText(_folder.File("config.json"), text);
        return new HuggingFaceConfig(JsonFile.Read(_folder.File("config.json"))).Read();
    }

    static string With(string text, string change)
    {
        var json = JsonNode.Parse(text)!.AsObject();
        foreach (var (name, value) in JsonNode.Parse(change)!.AsObject()) json[name] = value?.DeepClone();
        return json.ToJsonString();
    }
}

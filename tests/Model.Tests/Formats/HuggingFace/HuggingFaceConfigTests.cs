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
         "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16,
         "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
         "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
         "vocab_size": 128256}
        """;

    const string Scout = """
        {"architectures": ["Llama4ForConditionalGeneration"], "model_type": "llama4", "image_token_index": 200092, "tie_word_embeddings": false,
         "text_config": {"attention_bias": false, "attention_chunk_size": 8192, "attn_scale": 0.1, "attn_temperature_tuning": 4, "floor_scale": 8192,
         "head_dim": 128, "hidden_act": "silu", "hidden_size": 5120, "interleave_moe_layer_step": 1, "intermediate_size": 8192, "intermediate_size_mlp": 16384,
         "max_position_embeddings": 10485760, "model_type": "llama4_text", "no_rope_layers": [], "num_attention_heads": 40, "num_experts_per_tok": 1,
         "num_hidden_layers": 48, "num_key_value_heads": 8, "num_local_experts": 16, "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 16.0,
         "high_freq_factor": 1.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0,
         "use_qk_norm": true, "vocab_size": 202048}, "vision_config": {"hidden_size": 1408, "model_type": "llama4_vision_model"}}
        """;

    const string Mixtral = """
        {"architectures": ["MixtralForCausalLM"], "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 32768,
         "model_type": "mixtral", "num_attention_heads": 32, "num_experts_per_tok": 2, "num_hidden_layers": 32, "num_key_value_heads": 8,
         "num_local_experts": 8, "output_router_logits": false, "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "router_aux_loss_coef": 0.02,
         "sliding_window": null, "tie_word_embeddings": false, "vocab_size": 32000}
        """;

    const string Ministral = """
        {"architectures": ["Mistral3ForConditionalGeneration"], "model_type": "mistral3", "image_token_index": 10, "text_config": {"attention_dropout": 0.0,
         "head_dim": 128, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336, "max_position_embeddings": 262144, "model_type": "ministral3",
         "num_attention_heads": 32, "num_hidden_layers": 34, "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_parameters": {"beta_fast": 32.0,
         "beta_slow": 1.0, "factor": 16.0, "llama_4_scaling_beta": 0.1, "mscale": 1.0, "mscale_all_dim": 1.0, "original_max_position_embeddings": 16384,
         "rope_theta": 1000000.0, "rope_type": "yarn", "type": "yarn"}, "sliding_window": null, "vocab_size": 131072},
         "vision_config": {"hidden_size": 1024, "model_type": "pixtral"}}
        """;

    readonly TempFolder _folder = new();

    public static TheoryData<string, string> Refused => new()
    {
        { """{"architectures": ["GemmaForCausalLM"]}""", "architectures has 'GemmaForCausalLM', which is not supported; LlamaForCausalLM, " },
        { """{"model_type": "mistral", "sliding_window": -1}""", "sliding window is -1; it must be from 1" },
        { """{"model_type": "mistral", "sliding_window": 2048, "layer_types": ["sliding_attention", "full_attention"]}""",
            "layer_types are not all 'sliding_attention'" },
        { """{"model_type": "qwen2"}""", "model_type is 'qwen2', which is not supported" },
        { """{"model_type": null}""", "model_type is missing" },
        { """{"hidden_act": "gelu"}""", "hidden_act is 'gelu'; only 'silu' is supported" },
        { """{"quantization_config": {"quant_method": "gptq"}}""", "quantization_config is there (method 'gptq')" },
        { """{"mlp_bias": true}""", "mlp_bias is true; biases of attention are supported, those of the feed-forward are not" },
        { """{"sliding_window": 4095}""",
            "sliding_window is 4095, which is not supported for model_type 'llama'; it is for 'mistral', 'ministral3' and 'mixtral'" },
        { """{"rope_scaling": {"type": "yarn", "factor": -4.0}}""", "RoPE scaling factor is -4" },
        { """{"rope_scaling": {"type": "yarn", "factor": 4.0, "truncate": false}}""", "rope_scaling.truncate is false, which is not supported" },
        { """{"rope_scaling": {"type": "yarn", "factor": 4.0, "extrapolation_factor": 0.5}}""", "rope_scaling.extrapolation_factor is 0.5" },
        { """{"rope_scaling": {"type": "dynamic", "factor": 4.0, "alpha": 1000.0}}""", "rope_scaling.alpha is there" },
        { """{"rope_scaling": {"rope_type": "longrope", "factor": 4.0}}""",
            "rope_scaling.rope_type is 'longrope', which is not supported; 'default', 'linear', 'dynamic', 'yarn' and" },
        { """{"rope_parameters": {"full_attention": {"rope_type": "default"}}}""",
            "rope_parameters.full_attention is there; only models whose layers all rotate alike" },
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

    [Theory]
    [InlineData("null")]
    [InlineData("4096")]
    [InlineData("131072")]
    public void MistralWithoutAWindowIsALlama(string window)
    {
        var mistral = Llama2.Replace("LlamaForCausalLM", "MistralForCausalLM").Replace("\"llama\"", "\"mistral\"")
            .Replace("\"rope_scaling\": null", $"\"sliding_window\": {window}");
        Assert.Equal(Read(Llama2), Read(mistral));
    }

    [Theory]
    [InlineData("""{"model_type": "mistral", "sliding_window": 1024}""", 1024)]
    [InlineData("""{"model_type": "mistral", "max_position_embeddings": 32768}""", 4096)]
    [InlineData("""{"model_type": "mistral"}""", null)]
    [InlineData("""{"model_type": "mistral", "sliding_window": 1024, "layer_types": ["sliding_attention", "sliding_attention"]}""", 1024)]
    public void AMistralMaySeeTheLastPositionsOnly(string change, int? expected) => Assert.Equal(expected, Read(With(Llama2, change)).Window);

    [Fact]
    public void Llama1IsRead()
    {
        var config = Read(Llama1);
        Assert.Equal((32, 32, 128, 2048), (config.HeadCount, config.KvHeadCount, config.HeadSize, config.ContextLength));
        Assert.Equal((1e-6f, 10_000f, false), (config.RmsEpsilon, config.RopeTheta, config.TiedEmbeddings));
        Assert.Null(config.RopeScaling);
    }

    [Fact]
    public void Llama2IsRead() => Assert.Equal((80, 8192, 28_672, 64, 8, 128, 4096), DimensionsOf(Read(Llama2)));

    [Fact]
    public void Llama32IsTheShapeOfItsName() => Assert.Equal(ModelShape.Parse("llama-3.2-1b").Config, Read(Llama32));

    [Fact]
    public void ScoutIsTheShapeOfItsName() => Assert.Equal(ModelShape.Parse("llama-4-scout").Config, Read(Scout));

    [Fact]
    public void MaverickIsTheShapeOfItsName()
    {
        var text = JsonNode.Parse(Scout)!["text_config"]!.AsObject();
        var layers = Enumerable.Range(0, 48).ToArray();
        text["architectures"] = new JsonArray("Llama4ForCausalLM");
        text["num_local_experts"] = 128;
        text["interleave_moe_layer_step"] = 2;
        text["moe_layers"] = new JsonArray([.. layers.Where(layer => layer % 2 == 1).Select(layer => (JsonNode)layer)]);
        text["no_rope_layers"] = new JsonArray([.. layers.Select(layer => (JsonNode)(layer % 4 == 3 ? 0 : 1))]);
        text["max_position_embeddings"] = 1_048_576;
        text["rope_scaling"] = null;
        text["use_qk_norm"] = false;
        Assert.Equal(ModelShape.Parse("llama-4-maverick").Config, Read(text.ToJsonString()));
    }

    [Fact]
    public void Mistral3IsReadFromTheTextPart()
    {
        var config = Read(Ministral);
        Assert.Equal((34, 4096, 14_336, 32, 8, 128, 262_144), DimensionsOf(config));
        Assert.Equal(
            (1e6f, new RopeScaling.Yarn(16, 16_384, 32, 1, 1), new QueryScale(0.1f, 16_384, 0), (int?)null),
            (config.RopeTheta, config.RopeScaling, config.QueryScale, config.Window));
        var text = JsonNode.Parse(Ministral)!["text_config"]!.ToJsonString();
        Assert.Equal(config, Read(With(text, """{"architectures": ["Ministral3ForCausalLM"]}""")));
    }

    [Fact]
    public void MixtralIsTheShapeOfItsName() => Assert.Equal(ModelShape.Parse("mixtral-8x7b").Config, Read(Mixtral));

    /// <summary>Widths as Nvidia's own code makes them of ffn_mult, of layers of Llama-3_1-Nemotron-Ultra-253B.</summary>
    [Fact]
    public void ANemotronHasTheSizesOfItsBlocks()
    {
        const string nemotron = """
            {"architectures": ["DeciLMForCausalLM"], "attention_bias": false, "hidden_act": "silu", "hidden_size": 16384, "intermediate_size": null,
             "mlp_bias": false, "max_position_embeddings": 131072, "model_type": "nemotron-nas", "num_attention_heads": 128, "num_hidden_layers": 5,
             "num_key_value_heads": null, "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": false, "vocab_size": 128256,
             "rope_scaling": {"factor": 16.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192, "rope_type": "llama3"},
             "block_configs": [
             {"attention": {"n_heads_in_group": 16, "no_op": false, "num_sink_tokens": null, "replace_with_linear": false, "sparsify": null,
              "unshifted_sink": false, "use_prefill_window_in_sink_attention": false, "window_length": null},
              "ffn": {"ffn_mult": 0.4875, "no_op": false, "replace_with_linear": false, "sparsify": null}},
             {"attention": {"n_heads_in_group": null, "no_op": true}, "ffn": {"ffn_mult": null, "no_op": true}},
             {"attention": {"n_heads_in_group": null, "no_op": false, "replace_with_linear": true}, "ffn": {"ffn_mult": 36.5625}},
             {"attention": {"n_heads_in_group": 128}, "ffn": {"ffn_mult": 4.875}}, {"attention": {"n_heads_in_group": 16}, "ffn": {"no_op": true}}]}
            """;
        var config = Read(nemotron);
        Assert.Equal(new SizesOfLayers([new(128, 8, 5376), new(0, 0, 0), new(128, 0, 399_360), new(128, 1, 53_248), new(128, 8, 0)]), config.Sizes);
        Assert.Equal((128, 8, 399_360), (config.HeadCount, config.KvHeadCount, config.FfnSize));
    }

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

    public static TheoryData<string, RopeScaling?> Scalings => new()
    {
        { """{"type": "yarn", "factor": 16.0, "original_max_position_embeddings": 4096, "finetuned": true}""",
            new RopeScaling.Yarn(16, 4096, 32, 1, 1.2772589f) },
        { """{"type": "yarn", "factor": 4.0}""", new RopeScaling.Yarn(4, 4096, 32, 1, 1.1386294f) },
        { """{"rope_type": "yarn", "original_max_position_embeddings": 1024, "beta_fast": 0, "beta_slow": null}""",
            new RopeScaling.Yarn(4, 1024, 32, 1, 1.1386294f) },
        { """{"rope_type": "yarn", "factor": 4.0, "beta_fast": 16, "beta_slow": 2, "attention_factor": 0.75}""", new RopeScaling.Yarn(4, 4096, 16, 2, 0.75f) },
        { """{"rope_type": "yarn", "factor": 16.0, "mscale": 1.0, "mscale_all_dim": 1.0}""", new RopeScaling.Yarn(16, 4096, 32, 1, 1) },
        { """{"rope_type": "yarn", "factor": 16.0, "mscale": 1.0, "mscale_all_dim": 0.0}""", new RopeScaling.Yarn(16, 4096, 32, 1, 1.2772589f) },
        { """{"type": "dynamic", "factor": 2.0}""", null },
    };

    /// <summary>The numbers are those of the transformers library's formulas; 1.2772589 is 1 + 0.1 ln 16, 1.1386294 is 1 + 0.1 ln 4.</summary>
    [Theory]
    [MemberData(nameof(Scalings))]
    public void ScalingIsReadWithTransformersDefaults(string settings, RopeScaling? expected)
    {
        Assert.Equal(expected, Read(With(Llama2, $$"""{"rope_scaling": {{settings}}}""")).RopeScaling);
        Assert.Equal(expected, Read(With(Llama2, $$"""{"rope_parameters": {{settings}}}""")).RopeScaling);
    }

    [Fact]
    public void AttentionMayHaveBiases() =>
        Assert.Equal(AttentionBiases.Inputs | AttentionBiases.Output, Read(With(Llama2, """{"attention_bias": true}""")).Biases);

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

    static (int, int, int, int, int, int, int) DimensionsOf(LlamaConfig config) =>
        (config.LayerCount, config.HiddenSize, config.FfnSize, config.HeadCount, config.KvHeadCount, config.HeadSize, config.ContextLength);

    static string With(string text, string change)
    {
        var json = JsonNode.Parse(text)!.AsObject();
        foreach (var (name, value) in JsonNode.Parse(change)!.AsObject()) json[name] = value?.DeepClone();
        return json.ToJsonString();
    }
}

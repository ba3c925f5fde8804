using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// Reads a Llama's config from config.json, in the forms that the transformers library has written since Llama 1, with its
/// defaults (https://huggingface.co/docs/transformers/model_doc/llama); refuses, by name, what this program would compute wrongly.
/// </summary>
sealed class HuggingFaceConfig(JsonFields fields)
{
    public LlamaConfig Read()
    {
        RefuseOthers();
        var heads = fields.GetInt32("num_attention_heads");
        var headSize = fields.FindInt32("head_dim") ?? DividedHeadSize(heads);
        var rope = new HuggingFaceRope(fields);
        var config = new LlamaConfig
        {
            LayerCount = fields.GetInt32("num_hidden_layers"),
            HiddenSize = fields.GetInt32("hidden_size"),
            FfnSize = fields.GetInt32("intermediate_size"),
            HeadCount = heads,
            KvHeadCount = fields.FindInt32("num_key_value_heads") ?? heads,
            HeadSize = headSize,
            VocabularySize = fields.GetInt32("vocab_size"),
            ContextLength = fields.FindInt32("max_position_embeddings") ?? fields.FindInt32("max_sequence_length") ?? 2048,
            RmsEpsilon = fields.FindSingle("rms_norm_eps") ?? 1e-6f,
            RopeTheta = rope.Theta(),
            RopeDimensionCount = headSize,
            RopeScaling = rope.Scaling(),
            TiedEmbeddings = fields.FindBoolean("tie_word_embeddings") ?? false,
        };
        return LlamaConfigRules.FirstProblem(config) is { } problem ? throw new ModelFormatException($"{fields.Path}: {problem}") : config;
    }

    void RefuseOthers()
    {
        foreach (var architecture in fields.FindStrings("architectures") ?? [])
            if (architecture is not ("LlamaForCausalLM" or "LLaMAForCausalLM"))
                throw fields.Error("architectures", $"has {ErrorText.Quote(architecture)}, which is not supported; only LlamaForCausalLM is");
        if (fields.GetString("model_type") is not "llama" and var type)
            throw fields.Error("model_type", $"is {ErrorText.Quote(type)}, which is not supported; only 'llama' is");
        if (fields.FindString("hidden_act") is { } activation and not ("silu" or "swish"))
            throw fields.Error("hidden_act", $"is {ErrorText.Quote(activation)}; only 'silu' is supported");
        foreach (var quantisation in (string[])["quantization_config", "compression_config"])
            if (fields.FindObject(quantisation) is { } settings)
                throw fields.Error(quantisation, $"is there (method {ErrorText.Quote(settings.FindString("quant_method") ?? "unknown")}); give the model as F32, F16 or BF16, or a GGUF file");
        foreach (var bias in (string[])["attention_bias", "mlp_bias"])
            if (fields.FindBoolean(bias) is true) throw fields.Error(bias, "is true; models with biases are not supported");
        foreach (var other in (string[])["sliding_window", "num_local_experts", "num_experts"])
            if (fields.FindInt32(other) is > 0 and var value) throw fields.Error(other, $"is {value}, which is not supported");
    }

    int DividedHeadSize(int heads)
    {
        var hidden = fields.GetInt32("hidden_size");
        return heads > 0 && hidden % heads == 0 ? hidden / heads : throw fields.Error("num_attention_heads", $"is {heads}, which does not divide hidden_size {hidden}");
    }
}

/// <summary>
/// RoPE's settings in config.json: <c>rope_theta</c> beside <c>rope_scaling</c> (null, or an object with <c>type</c> or
/// <c>rope_type</c>), or both in one object <c>rope_parameters</c>, as transformers 5 writes them.
/// </summary>
sealed class HuggingFaceRope(JsonFields config)
{
    const float DefaultTheta = 10_000;

    readonly JsonFields? _settings = config.FindObject("rope_parameters") ?? config.FindObject("rope_scaling");

    public float Theta() => _settings?.FindSingle("rope_theta") ?? config.FindSingle("rope_theta") ?? DefaultTheta;

    public RopeScaling? Scaling()
    {
        RefusePartial(config);
        RefuseOldCondensing();
        if (_settings is null) return null;
        RefusePartial(_settings);
        // Settings without a type, and without a factor that a type would use, say nothing.
        var type = _settings.FindString("rope_type") ?? (_settings.Has("factor") ? _settings.GetString("type") : _settings.FindString("type") ?? "default");
        return type switch
        {
            "default" => null,
            "linear" => new RopeScaling.Linear(_settings.GetSingle("factor")),
            "llama3" => new RopeScaling.Llama3(
                _settings.GetSingle("factor"),
                _settings.GetSingle("low_freq_factor"),
                _settings.GetSingle("high_freq_factor"),
                _settings.GetInt32("original_max_position_embeddings")),
            var other => throw _settings.Error("rope_type", $"is {ErrorText.Quote(other)}, which is not supported; 'default', 'linear' and 'llama3' are"),
        };
    }

    static void RefusePartial(JsonFields settings)
    {
        if (settings.FindSingle("partial_rotary_factor") is { } factor and not 1)
            throw settings.Error("partial_rotary_factor", $"is {factor}; only heads that are rotated as a whole are supported");
    }

    // A form of linear scaling that some models of 2023 brought their own code for.
    void RefuseOldCondensing()
    {
        if (config.FindSingle("rope_condense_ratio") is { } ratio and not 1 && _settings is null)
            throw config.Error("rope_condense_ratio", $"is {ratio}, which is not supported: give rope_scaling instead");
    }
}

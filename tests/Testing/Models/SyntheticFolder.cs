using System.Globalization;
using System.Text.Json.Nodes;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;

namespace LlamaCluster.Testing.Models;

/// <summary>
/// Writes a synthetic model as a Hugging Face folder: config.json, safetensors, tokenizer.json, tokenizer_config.json. Models with experts become
/// Mixtral's or Llama 4's, the latter as the text part of a model that sees images too.
/// </summary>
sealed class SyntheticFolder(SyntheticModel model)
{
    bool IsLlama4 => model.Config.Chunks is not null;

    bool IsMistral3 => !IsLlama4 && model.Config.QueryScale is not null;

    bool IsNemotron => model.Config.Sizes is not null;

    bool IsMixtral => !IsLlama4 && model.Config.Experts is not null;

    public string Write(string folder, int shards)
    {
        Directory.CreateDirectory(folder);
        WriteJson(folder, "config.json", Config());
        WriteJson(folder, "tokenizer.json", ByteVocabulary.Json(model.Config.VocabularySize));
        WriteJson(folder, "tokenizer_config.json", new JsonObject { ["bos_token"] = "<s>", ["eos_token"] = "</s>", ["add_bos_token"] = true });
        WriteTensors(folder, shards);
        return folder;
    }

    static void WriteJson(string folder, string name, JsonObject content) => File.WriteAllText(Path.Combine(folder, name), content.ToJsonString());

    JsonObject Config() => IsMistral3
        ? new JsonObject
        {
            ["architectures"] = new JsonArray("Mistral3ForConditionalGeneration"),
            ["model_type"] = "mistral3",
            ["text_config"] = TextConfig(),
            ["vision_config"] = new JsonObject { ["hidden_size"] = 7 },
        }
        : IsLlama4
        ? new JsonObject
        {
            ["architectures"] = new JsonArray("Llama4ForConditionalGeneration"),
            ["model_type"] = "llama4",
            ["text_config"] = TextConfig(),
            ["vision_config"] = new JsonObject { ["hidden_size"] = 7 },
        }
        : TextConfig();

    JsonObject TextConfig()
    {
        var config = model.Config;
        var fields = new JsonObject
        {
            ["architectures"] = new JsonArray(
                IsLlama4 ? "Llama4ForCausalLM"
                : IsMistral3 ? "Ministral3ForCausalLM"
                : IsMixtral ? "MixtralForCausalLM"
                : IsNemotron ? "DeciLMForCausalLM"
                : "LlamaForCausalLM"),
            ["model_type"] = IsLlama4 ? "llama4_text"
                : IsMistral3 ? "ministral3"
                : IsMixtral ? "mixtral"
                : IsNemotron ? "nemotron-nas"
                : config.Window is null ? "llama"
                : "mistral",
            ["hidden_act"] = "silu",
            ["hidden_size"] = config.HiddenSize,
            ["intermediate_size"] = config.FfnSize,
            ["num_hidden_layers"] = config.LayerCount,
            ["num_attention_heads"] = config.HeadCount,
            ["num_key_value_heads"] = config.KvHeadCount,
            ["head_dim"] = config.HeadSize,
            ["vocab_size"] = config.VocabularySize,
            ["max_position_embeddings"] = config.ContextLength,
            ["rms_norm_eps"] = config.RmsEpsilon,
            ["rope_theta"] = config.RopeTheta,
            ["rope_scaling"] = Scaling(config.RopeScaling),
            ["tie_word_embeddings"] = config.TiedEmbeddings,
            ["sliding_window"] = config.Window,
            ["attention_bias"] = config.Biases is not AttentionBiases.None,
            ["bos_token_id"] = ByteVocabulary.Begin,
            ["eos_token_id"] = ByteVocabulary.End,
        };
        if (IsMistral3)
        {
            fields["rope_scaling"]!["llama_4_scaling_beta"] = config.QueryScale!.Growth;
            fields["rope_scaling"]!["rope_theta"] = config.RopeTheta;
            (fields["rope_parameters"], fields["rope_scaling"]) = (fields["rope_scaling"]!.DeepClone(), null);
        }
        if (config.Sizes is { } sizes)
        {
            (fields["intermediate_size"], fields["num_key_value_heads"]) = (null, null);
            fields["block_configs"] = new JsonArray([.. sizes.Select(BlockOf)]);
        }
        if (config.Experts is not { } experts) return fields;
        fields["num_local_experts"] = experts.Count;
        fields["num_experts_per_tok"] = experts.UsedCount;
        if (config.Chunks is not { } chunks) return fields;
        fields["intermediate_size"] = experts.FfnSize;
        fields["intermediate_size_mlp"] = config.FfnSize;
        fields["interleave_moe_layer_step"] = experts.LayerStep;
        fields["moe_layers"] = new JsonArray([.. Enumerable.Range(0, config.LayerCount).Where(config.HasExperts).Select(layer => (JsonNode)layer)]);
        fields["no_rope_layers"] = new JsonArray([.. Enumerable.Range(0, config.LayerCount).Select(layer => (JsonNode)(config.SeesChunks(layer) ? 1 : 0))]);
        fields["no_rope_layer_interval"] = chunks.FullLayerStep;
        fields["attention_chunk_size"] = chunks.ChunkSize;
        fields["attn_temperature_tuning"] = 4;
        fields["attn_scale"] = config.QueryScale!.Growth;
        fields["floor_scale"] = config.QueryScale.Span;
        fields["use_qk_norm"] = config.NormsHeads;
        return fields;
    }

    /// <summary>As in Nvidia's folders, with a width in place of ffn_mult, which knows multiples of 256 only.</summary>
    static JsonNode BlockOf(LayerSizes sizes) => new JsonObject
    {
        ["attention"] = new JsonObject
        {
            ["n_heads_in_group"] = sizes.HasAttention ? sizes.Group : null,
            ["no_op"] = sizes.HeadCount == 0,
            ["replace_with_linear"] = sizes.IsLinear,
            ["num_sink_tokens"] = null,
            ["unshifted_sink"] = false,
        },
        ["ffn"] = new JsonObject
        {
            ["intermediate_size"] = sizes.HasFeedForward ? sizes.FfnSize : null,
            ["no_op"] = !sizes.HasFeedForward,
            ["replace_with_linear"] = false,
        },
    };

    static JsonObject? Scaling(RopeScaling? scaling) => scaling switch
    {
        null => null,
        RopeScaling.Linear linear => new JsonObject { ["type"] = "linear", ["factor"] = linear.Factor },
        RopeScaling.Llama3 llama3 => new JsonObject
        {
            ["rope_type"] = "llama3",
            ["factor"] = llama3.Factor,
            ["low_freq_factor"] = llama3.LowFrequencyFactor,
            ["high_freq_factor"] = llama3.HighFrequencyFactor,
            ["original_max_position_embeddings"] = llama3.OriginalContextLength,
        },
        RopeScaling.Yarn yarn => new JsonObject
        {
            ["rope_type"] = "yarn",
            ["factor"] = yarn.Factor,
            ["original_max_position_embeddings"] = yarn.OriginalContextLength,
            ["beta_fast"] = yarn.FastTurns,
            ["beta_slow"] = yarn.SlowTurns,
            ["attention_factor"] = yarn.Magnitude,
        },
        _ => throw new NotSupportedException("a folder has no RoPE divisors: use RopeScaling.Llama3"),
    };

    void WriteTensors(string folder, int shards)
    {
        var shapes = LlamaTensors.Of(model.Config).Where(shape => !IsLlama4 || ExpertTensors.StackOf(shape.Name) is null).ToList();
        var perShard = (shapes.Count + shards - 1) / shards;
        var map = new JsonObject();
        for (var shard = 0; shard < shards; shard++)
        {
            var file = new SafetensorsBuilder();
            var name = shards == 1 ? "model.safetensors" : $"model-{shard + 1:00000}-of-{shards:00000}.safetensors";
            foreach (var shape in shapes.Skip(shard * perShard).Take(perShard))
            {
                file.Add(NameOf(shape.Name), Dtype(), shape.Rows == 1 ? [shape.Columns] : [shape.Rows, shape.Columns], Stored(shape));
                map[NameOf(shape.Name)] = name;
            }
            if (IsMistral3 && shard == shards - 1) AddImages(file, "vision_tower.patch_conv.weight", images => map[images] = name);
            if (IsLlama4 && shard == shards - 1) AddStacks(file, stack => map[stack] = name);
            File.WriteAllBytes(Path.Combine(folder, name), file.Build());
        }
        if (shards > 1) WriteJson(folder, "model.safetensors.index.json", new JsonObject { ["metadata"] = new JsonObject(), ["weight_map"] = map });
    }

    /// <summary>Llama 4's experts [N, D, 2 F] with gate and up side by side, and [N, F, D], and something for images.</summary>
    void AddStacks(SafetensorsBuilder file, Action<string> added)
    {
        var (d, experts) = (model.Config.HiddenSize, model.Config.Experts!);
        foreach (var layer in Enumerable.Range(0, model.Config.LayerCount).Where(model.Config.HasExperts))
        {
            Add(layer, "gate_up_proj", d, 2 * experts.FfnSize, expert =>
                Columns(ValuesOf(layer, "ffn_gate", expert), d).Zip(Columns(ValuesOf(layer, "ffn_up", expert), d), (gate, up) => gate.Concat(up))
                    .SelectMany(row => row));
            Add(layer, "down_proj", experts.FfnSize, d, expert => Columns(ValuesOf(layer, "ffn_down", expert), experts.FfnSize).SelectMany(row => row));
        }
        AddImages(file, "vision_model.class_embedding", added);

        void Add(int layer, string part, int rows, int columns, Func<int, IEnumerable<float>> values)
        {
            var name = $"language_model.model.layers.{layer}.feed_forward.experts.{part}";
            file.Add(name, Dtype(), [experts.Count, rows, columns], Encode([.. Enumerable.Range(0, experts.Count).SelectMany(values)]));
            added(name);
        }
    }

    void AddImages(SafetensorsBuilder file, string name, Action<string> added)
    {
        file.Add(name, Dtype(), [4], new byte[model.Type.RowBytes(4)]);
        added(name);
    }

    float[] ValuesOf(int layer, string part, int expert) =>
        model.Values(LlamaTensors.OfLayer(model.Config, layer).Single(shape => shape.Name == $"blk.{layer}.{part}.{expert}.weight"));

    /// <summary>The columns of a matrix, one after the other.</summary>
    static IEnumerable<IEnumerable<float>> Columns(float[] matrix, int columns) =>
        Enumerable.Range(0, columns).Select(column => Enumerable.Range(0, matrix.Length / columns).Select(row => matrix[(row * columns) + column]));

    string Dtype() => model.Type is TensorType.F32 or TensorType.F16 or TensorType.BF16
        ? model.Type.ToString()
        : throw new NotSupportedException($"safetensors has no {model.Type}");

    byte[] Stored(TensorShape shape)
    {
        var values = model.Values(shape);
        if (!IsLlama4 && (shape.Name.Contains("attn_q.") || shape.Name.Contains("attn_k.")))
            values = HalvesApart(values, shape.Rows == 1 ? 1 : (int)shape.Columns);
        return Encode(values);
    }

    byte[] Encode(float[] values)
    {
        var stored = new byte[model.Type.RowBytes(values.Length)];
        RowEncoder.Encode(model.Type, values, stored);
        return stored;
    }

    // Row 2 i + s of a head, whose pairs (2 i, 2 i + 1) are rotated together, becomes row i + s E / 2.
    float[] HalvesApart(float[] values, int columns)
    {
        var size = model.Config.HeadSize;
        var result = new float[values.Length];
        for (var row = 0; row < values.Length / columns; row++)
        {
            var (head, within) = Math.DivRem(row, size);
            var target = head * size + within / 2 + within % 2 * (size / 2);
            values.AsSpan(row * columns, columns).CopyTo(result.AsSpan(target * columns));
        }
        return result;
    }

    string NameOf(string name) => IsLlama4 || IsMistral3 ? $"language_model.{NameInText(name)}" : NameInText(name);

    string NameInText(string name)
    {
        switch (name)
        {
            case LlamaTensors.Embedding: return "model.embed_tokens.weight";
            case LlamaTensors.OutputNorm: return "model.norm.weight";
            case LlamaTensors.Output: return "lm_head.weight";
        }
        var parts = name.Split('.');
        var part = parts[2] switch
        {
            "attn_norm" => "input_layernorm",
            "attn_q" => "self_attn.q_proj",
            "attn_k" => "self_attn.k_proj",
            "attn_v" => "self_attn.v_proj",
            "attn_output" when model.Config.SizesOf(int.Parse(parts[1], CultureInfo.InvariantCulture)).IsLinear => "self_attn.linear_attn",
            "attn_output" => "self_attn.o_proj",
            "ffn_norm" => "post_attention_layernorm",
            "ffn_gate_inp" => IsLlama4 ? "feed_forward.router" : "block_sparse_moe.gate",
            "ffn_gate" when IsMixtral => $"block_sparse_moe.experts.{parts[3]}.w1",
            "ffn_up" when IsMixtral => $"block_sparse_moe.experts.{parts[3]}.w3",
            "ffn_down" when IsMixtral => $"block_sparse_moe.experts.{parts[3]}.w2",
            "ffn_gate_shexp" or "ffn_up_shexp" or "ffn_down_shexp" => $"feed_forward.shared_expert.{parts[2].Split('_')[1]}_proj",
            "ffn_gate" or "ffn_up" or "ffn_down" => $"{(IsLlama4 ? "feed_forward" : "mlp")}.{parts[2].Split('_')[1]}_proj",
            _ => throw new NotSupportedException($"no name for {name}"),
        };
        return $"model.layers.{parts[1]}.{part}.{parts[^1]}";
    }
}

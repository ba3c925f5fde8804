using System.Text.Json.Nodes;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;

namespace LlamaCluster.Testing.Models;

/// <summary>Writes a synthetic model as a Hugging Face folder: config.json, safetensors, tokenizer.json, tokenizer_config.json.</summary>
sealed class SyntheticFolder(SyntheticModel model)
{
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

    JsonObject Config()
    {
        var config = model.Config;
        return new JsonObject
        {
            ["architectures"] = new JsonArray("LlamaForCausalLM"),
            ["model_type"] = "llama",
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
            ["bos_token_id"] = ByteVocabulary.Begin,
            ["eos_token_id"] = ByteVocabulary.End,
        };
    }

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
        _ => throw new NotSupportedException("a folder has no RoPE divisors: use RopeScaling.Llama3"),
    };

    void WriteTensors(string folder, int shards)
    {
        var shapes = LlamaTensors.Of(model.Config).ToList();
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
            File.WriteAllBytes(Path.Combine(folder, name), file.Build());
        }
        if (shards > 1) WriteJson(folder, "model.safetensors.index.json", new JsonObject { ["metadata"] = new JsonObject(), ["weight_map"] = map });
    }

    string Dtype() => model.Type is TensorType.F32 or TensorType.F16 or TensorType.BF16
        ? model.Type.ToString()
        : throw new NotSupportedException($"safetensors has no {model.Type}");

    byte[] Stored(TensorShape shape)
    {
        var values = model.Values(shape);
        if (shape.Name.Contains("attn_q.") || shape.Name.Contains("attn_k.")) values = HalvesApart(values, (int)shape.Columns);
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

    static string NameOf(string name)
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
            "attn_output" => "self_attn.o_proj",
            "ffn_norm" => "post_attention_layernorm",
            "ffn_gate" => "mlp.gate_proj",
            "ffn_up" => "mlp.up_proj",
            "ffn_down" => "mlp.down_proj",
            _ => throw new NotSupportedException($"no name for {name}"),
        };
        return $"model.layers.{parts[1]}.{part}.weight";
    }
}

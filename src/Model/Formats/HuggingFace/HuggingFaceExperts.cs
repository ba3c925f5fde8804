using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>Models of the transformers library that this program computes, by what their layers are made of.</summary>
enum HuggingFaceFamily
{
    /// <summary>Llama 1 to 3, and Mistral.</summary>
    Llama,

    Mixtral,

    /// <summary>The text part of Llama 4.</summary>
    Llama4,

    /// <summary>Mistral 3: Llama's layers, as a model or as the text part of one.</summary>
    Mistral3,

    /// <summary>Llama's layers that differ in size, or lack a part.</summary>
    Nemotron,
}

static class HuggingFaceFamilies
{
    /// <summary>What <c>architectures</c> may have.</summary>
    public static IReadOnlyList<string> Architectures { get; } =
    [
        "LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM", "MixtralForCausalLM", "Llama4ForCausalLM", "Llama4ForConditionalGeneration",
        "Ministral3ForCausalLM", "Mistral3ForConditionalGeneration", "DeciLMForCausalLM", "NemotronNASForCausalLM",
    ];
}

/// <summary>Reads from config.json what is particular to layers with experts, with the defaults of the transformers library.</summary>
sealed class HuggingFaceExperts(JsonFields fields)
{
    /// <summary>https://huggingface.co/docs/transformers/model_doc/mixtral</summary>
    public LlamaConfig Mixtral(LlamaConfig config) => config with
    {
        Experts = new ExpertMixture
        {
            Count = fields.FindInt32("num_local_experts") ?? 8,
            UsedCount = fields.FindInt32("num_experts_per_tok") ?? 2,
            FfnSize = config.FfnSize,
            LayerStep = 1,
            Gate = ExpertGate.Softmax,
            HasShared = false,
        },
    };

    /// <summary>https://huggingface.co/docs/transformers/model_doc/llama4</summary>
    public LlamaConfig Llama4(LlamaConfig config)
    {
        var step = fields.FindInt32("interleave_moe_layer_step") ?? 1;
        var fullStep = fields.FindInt32("no_rope_layer_interval") ?? ChunkedAttention.Llama4.FullLayerStep;
        var read = config with
        {
            Experts = new ExpertMixture
            {
                Count = fields.FindInt32("num_local_experts") ?? 16,
                UsedCount = fields.FindInt32("num_experts_per_tok") ?? 1,
                FfnSize = fields.GetInt32("intermediate_size"),
                LayerStep = step,
                Gate = ExpertGate.Sigmoid,
                HasShared = true,
            },
            Chunks = new ChunkedAttention(
                fields.FindInt32("attention_chunk_size") ?? throw fields.Error("attention_chunk_size", "is missing; only attention in chunks is supported"),
                fullStep),
            QueryScale = Grows() && (fields.FindSingle("attn_scale") ?? QueryScale.Llama4.Growth) is var growth and not 0
                ? QueryScale.Llama4 with { Growth = growth, Span = fields.FindInt32("floor_scale") ?? QueryScale.Llama4.Span }
                : null,
            NormsHeads = fields.FindBoolean("use_qk_norm") ?? true,
        };
        // What is out of range is said by the rules for configs.
        if (step > 0 && fullStep > 0) RefuseOtherLayers(read);
        return read;
    }

    /// <summary>Whether queries grow with their position. Published files have a number here.</summary>
    bool Grows() => fields.KindOf("attn_temperature_tuning") is System.Text.Json.JsonValueKind.Number
        ? fields.GetInt32("attn_temperature_tuning") != 0
        : fields.FindBoolean("attn_temperature_tuning") ?? true;

    /// <summary>Lists of layers may say what the steps say, and nothing else.</summary>
    void RefuseOtherLayers(LlamaConfig config)
    {
        int[] layers = [.. Enumerable.Range(0, Math.Clamp(config.LayerCount, 0, 4096))];
        if (fields.FindInt32s("moe_layers") is { Length: > 0 } experts && !experts.Order().SequenceEqual(layers.Where(config.HasExperts)))
            throw fields.Error("moe_layers", $"are not every {config.Experts!.LayerStep} layers, as interleave_moe_layer_step says; that is not supported");
        if (fields.FindInt32s("no_rope_layers") is { Length: > 0 } rope && !rope.SequenceEqual(layers.Select(layer => config.SeesChunks(layer) ? 1 : 0)))
            throw fields.Error("no_rope_layers", $"have their zeros elsewhere than every {config.Chunks!.FullLayerStep} layers, which is not supported");
        if (fields.FindStrings("layer_types") is { Length: > 0 } types
            && !types.SequenceEqual(layers.Select(layer => config.SeesChunks(layer) ? "chunked_attention" : "full_attention")))
            throw fields.Error(
                "layer_types", $"are other than full attention every {config.Chunks!.FullLayerStep} layers and chunks between, which is not supported");
    }
}

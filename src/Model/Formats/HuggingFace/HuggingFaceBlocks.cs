using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>
/// Reads <c>block_configs</c> of config.json: what each layer of a Nemotron has and how wide it is. Nvidia's own code in the models' folders
/// (modeling_decilm.py) says what the fields mean.
/// </summary>
sealed class HuggingFaceBlocks(JsonFields fields)
{
    /// <summary>Widths of feed-forwards are multiples of it.</summary>
    const int WidthUnit = 256;

    /// <param name="heads">Query heads of every layer with attention.</param>
    public SizesOfLayers Sizes(int layers, int heads)
    {
        var blocks = fields.FindObjects("block_configs") ?? throw fields.Error("block_configs", "is missing");
        if (blocks.Length != layers) throw fields.Error("block_configs", $"has {blocks.Length} elements for {layers} layers");
        return new SizesOfLayers(blocks.Select(block =>
        {
            var (kvHeads, hasHeads) = AttentionOf(block.GetObject("attention"), heads);
            return new LayerSizes(hasHeads ? heads : 0, kvHeads, WidthOf(block.GetObject("ffn")));
        }));
    }

    static (int KvHeads, bool HasHeads) AttentionOf(JsonFields attention, int heads)
    {
        if (attention.FindBoolean("no_op") is true) return (0, false);
        if (attention.FindBoolean("replace_with_linear") is true) return (0, true);
        Refuse(attention, "num_sink_tokens", "window_length", "prefill_sliding_window", "sparsify", "mamba", "llama4");
        if (attention.FindBoolean("unshifted_sink") is true) throw attention.Error("unshifted_sink", "is true, which is not supported");
        var group = attention.GetInt32("n_heads_in_group");
        return group > 0 && heads % group == 0
            ? (heads / group, true)
            : throw attention.Error("n_heads_in_group", $"is {group}, which does not divide num_attention_heads {heads}");
    }

    int WidthOf(JsonFields ffn)
    {
        if (ffn.FindBoolean("no_op") is true) return 0;
        if (ffn.FindBoolean("replace_with_linear") is true)
            throw ffn.Error("replace_with_linear", "is true; one matrix in the place of attention is supported, in that of the feed-forward it is not");
        Refuse(ffn, "sparsify", "moe");
        if (ffn.FindBoolean("gated") is false) throw ffn.Error("gated", "is false; only gated feed-forwards are supported");
        if (ffn.FindString("hidden_act") is { } activation and not ("silu" or "swish"))
            throw ffn.Error("hidden_act", $"is {ErrorText.Quote(activation)}; only 'silu' is supported");
        if (ffn.FindInt32("intermediate_size") is { } width) return width;
        var multiple = ffn.GetSingle("ffn_mult");
        var product = 2.0 * multiple * fields.GetInt32("hidden_size") / 3;
        return product is >= 0 and < int.MaxValue - WidthUnit
            ? ((int)product + WidthUnit - 1) / WidthUnit * WidthUnit
            : throw ffn.Error("ffn_mult", $"is {multiple}, of which no width follows");
    }

    static void Refuse(JsonFields of, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
            if (of.Has(name)) throw of.Error(name, "is there, which is not supported");
    }
}

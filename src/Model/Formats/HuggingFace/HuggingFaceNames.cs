using System.Globalization;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>The transformers library's names of a Llama's tensors, and GGUF's for them.</summary>
static class HuggingFaceNames
{
    const string LayerPrefix = "model.layers.";

    static readonly Dictionary<string, string> LayerParts = new(StringComparer.Ordinal)
    {
        ["input_layernorm.weight"] = "attn_norm",
        ["self_attn.q_proj.weight"] = LlamaTensors.Query,
        ["self_attn.k_proj.weight"] = LlamaTensors.Key,
        ["self_attn.v_proj.weight"] = "attn_v",
        ["self_attn.o_proj.weight"] = "attn_output",
        ["post_attention_layernorm.weight"] = "ffn_norm",
        ["mlp.gate_proj.weight"] = "ffn_gate",
        ["mlp.up_proj.weight"] = "ffn_up",
        ["mlp.down_proj.weight"] = "ffn_down",
    };

    /// <summary>GGUF's name; a name that is not a Llama's stays as it is, to be refused by it.</summary>
    public static string ToGguf(string name) => name switch
    {
        "model.embed_tokens.weight" => LlamaTensors.Embedding,
        "model.norm.weight" => LlamaTensors.OutputNorm,
        "lm_head.weight" => LlamaTensors.Output,
        _ => OfLayer(name) ?? name,
    };

    /// <summary>Tables of RoPE's frequencies that old checkpoints hold: they follow from the config.</summary>
    public static bool IsDerived(string name) => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);

    static string? OfLayer(string name)
    {
        if (!name.StartsWith(LayerPrefix, StringComparison.Ordinal)) return null;
        var rest = name[LayerPrefix.Length..];
        var dot = rest.IndexOf('.');
        if (dot < 0 || !LayerParts.TryGetValue(rest[(dot + 1)..], out var part)) return null;
        return int.TryParse(rest[..dot], NumberStyles.None, CultureInfo.InvariantCulture, out var layer) ? LlamaTensors.OfLayer(layer, part) : null;
    }
}

using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>Writes a Llama's config as GGUF metadata, the keys that <see cref="GgufConfig"/> reads.</summary>
public static class GgufConfigWriter
{
    /// <param name="config">Its RoPE scaling must be one that GGUF has: none, linear, or stored divisors.</param>
    public static void Write(GgufPairs pairs, LlamaConfig config)
    {
        pairs.Set("general.architecture", "llama");
        pairs.Set("llama.block_count", (uint)config.LayerCount);
        pairs.Set("llama.context_length", (uint)config.ContextLength);
        pairs.Set("llama.embedding_length", (uint)config.HiddenSize);
        pairs.Set("llama.feed_forward_length", (uint)config.FfnSize);
        pairs.Set("llama.attention.head_count", (uint)config.HeadCount);
        pairs.Set("llama.attention.head_count_kv", (uint)config.KvHeadCount);
        pairs.Set("llama.attention.key_length", (uint)config.HeadSize);
        pairs.Set("llama.attention.value_length", (uint)config.HeadSize);
        pairs.Set("llama.attention.layer_norm_rms_epsilon", config.RmsEpsilon);
        pairs.Set("llama.rope.dimension_count", (uint)config.RopeDimensionCount);
        pairs.Set("llama.rope.freq_base", config.RopeTheta);
        pairs.Set("llama.vocab_size", (uint)config.VocabularySize);
        WriteScaling(pairs, config.RopeScaling);
    }

    static void WriteScaling(GgufPairs pairs, RopeScaling? scaling)
    {
        switch (scaling)
        {
            case null or RopeScaling.Factors:
                return;
            case RopeScaling.Linear linear:
                pairs.Set("llama.rope.scaling.type", "linear");
                pairs.Set("llama.rope.scaling.factor", linear.Factor);
                return;
            default:
                throw new ArgumentException($"GGUF has no key for RoPE scaling {scaling}: it has divisors in a tensor", nameof(scaling));
        }
    }
}

using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>
/// Reads a Llama's config from GGUF metadata (keys <c>llama.*</c>) and refuses, by name, what this program would compute wrongly.
/// </summary>
sealed class GgufConfig(GgufMetadata metadata)
{
    const string Architecture = "llama";
    const float DefaultRopeTheta = 10_000;

    /// <param name="vocabularySize">Rows of the embedding.</param>
    /// <param name="ropeDivisors">Content of <c>rope_freqs.weight</c>, if the file has it.</param>
    /// <param name="tied">The file has no <c>output.weight</c>.</param>
    public LlamaConfig Read(int vocabularySize, IReadOnlyList<float>? ropeDivisors, bool tied)
    {
        RefuseOthers();
        var headCount = metadata.GetInt32("llama.attention.head_count");
        var headSize = HeadSize(headCount);
        return new LlamaConfig
        {
            LayerCount = metadata.GetInt32("llama.block_count"),
            HiddenSize = metadata.GetInt32("llama.embedding_length"),
            FfnSize = metadata.GetInt32("llama.feed_forward_length"),
            HeadCount = headCount,
            KvHeadCount = metadata.TryGetInt32("llama.attention.head_count_kv", out var kvHeads) ? kvHeads : headCount,
            HeadSize = headSize,
            VocabularySize = vocabularySize,
            ContextLength = metadata.GetInt32("llama.context_length"),
            RmsEpsilon = metadata.GetSingle("llama.attention.layer_norm_rms_epsilon"),
            RopeTheta = metadata.TryGetSingle("llama.rope.freq_base", out var theta) ? theta : DefaultRopeTheta,
            RopeDimensionCount = metadata.TryGetInt32("llama.rope.dimension_count", out var rotated) ? rotated : headSize,
            RopeScaling = Scaling(ropeDivisors),
            TiedEmbeddings = tied,
        };
    }

    /// <summary>Refuses files of another architecture, and what is no model.</summary>
    public void RefuseOtherArchitectures()
    {
        if (metadata.TryGetString("general.type", out var type) && type != "model")
            throw metadata.Error("general.type", $"is {ErrorText.Quote(type)}; only a whole model can be run");
        if (metadata.GetString("general.architecture") is not Architecture and var other)
            throw metadata.Error("general.architecture", $"is {ErrorText.Quote(other)}, which is not supported; only 'llama' is");
    }

    void RefuseOthers()
    {
        RefuseAbove("llama.expert_count", 0, "mixtures of experts are not supported");
        RefuseAbove("llama.attention.sliding_window", 0, "sliding window attention is not supported");
        if (metadata.TryGetBoolean("llama.attention.causal", out var causal) && !causal)
            throw metadata.Error("llama.attention.causal", "is false; only causal attention is supported");
        foreach (var key in (string[])["llama.attention.scale", "llama.logit_scale", "llama.embedding_scale", "llama.residual_scale"])
            if (metadata.TryGetSingle(key, out var scale)) throw metadata.Error(key, $"is {scale}; models with their own scale are not supported");
    }

    void RefuseAbove(string key, int limit, string reason)
    {
        if (metadata.TryGetInt32(key, out var value) && value > limit) throw metadata.Error(key, $"is {value}; {reason}");
    }

    int HeadSize(int headCount)
    {
        var hasKeyLength = metadata.TryGetInt32("llama.attention.key_length", out var keyLength);
        if (!hasKeyLength)
        {
            var hidden = metadata.GetInt32("llama.embedding_length");
            if (headCount <= 0 || hidden % headCount != 0)
                throw metadata.Error("llama.attention.head_count", $"is {headCount}, which does not divide llama.embedding_length {hidden}");
            keyLength = hidden / headCount;
        }
        if (metadata.TryGetInt32("llama.attention.value_length", out var valueLength) && valueLength != keyLength)
            throw metadata.Error("llama.attention.value_length", $"is {valueLength}; only heads with keys and values of one length ({keyLength}) are supported");
        return keyLength;
    }

    RopeScaling? Scaling(IReadOnlyList<float>? divisors)
    {
        var linear = LinearScaling();
        if (divisors is null) return linear;
        if (linear is not null) throw metadata.Error("llama.rope.scaling.factor", "is set and rope_freqs.weight is there too; only one of them is supported");
        return new RopeScaling.Factors(divisors);
    }

    // A file that gives a factor but no type means linear scaling, and older files have the factor under another key.
    RopeScaling.Linear? LinearScaling()
    {
        if (metadata.TryGetString("llama.rope.scaling.type", out var type) && type is not ("linear" or "none"))
            throw metadata.Error("llama.rope.scaling.type", $"is {ErrorText.Quote(type)}, which is not supported; 'none' and 'linear' are");
        if (type is "none") return null;
        var hasFactor = metadata.TryGetSingle("llama.rope.scaling.factor", out var factor) || metadata.TryGetSingle("llama.rope.scale_linear", out factor);
        return hasFactor && factor is not (0 or 1) ? new RopeScaling.Linear(factor) : null;
    }
}

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

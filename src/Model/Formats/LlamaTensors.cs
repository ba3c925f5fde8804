using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Formats;

/// <summary>The tensors that a Llama of a given config consists of: names and shapes.</summary>
public static class LlamaTensors
{
    public const string Embedding = "token_embd.weight";
    public const string OutputNorm = "output_norm.weight";
    public const string Output = "output.weight";
    public const string RopeFactors = "rope_freqs.weight";

    /// <summary>The parts of a layer whose rows RoPE's pairs come from; see <see cref="OfLayer"/>.</summary>
    public const string Query = "attn_q";

    /// <inheritdoc cref="Query"/>
    public const string Key = "attn_k";

    /// <summary>The part of a layer whose columns are its feed-forward's.</summary>
    public const string Down = "ffn_down";

    /// <summary>The name of a layer's tensor; <paramref name="part"/> is <c>attn_q</c>, <c>ffn_norm</c>...</summary>
    public static string OfLayer(int layer, string part) => $"blk.{layer}.{part}.weight";

    /// <summary>In the order of the forward pass.</summary>
    public static IEnumerable<TensorShape> Of(LlamaConfig config)
    {
        yield return new(Embedding, config.VocabularySize, config.HiddenSize);
        if (config.RopeScaling is RopeScaling.Factors) yield return new(RopeFactors, 1, config.RopeDimensionCount / 2);
        for (var layer = 0; layer < config.LayerCount; layer++)
            foreach (var shape in OfLayer(config, layer))
                yield return shape;
        yield return new(OutputNorm, 1, config.HiddenSize);
        if (!config.TiedEmbeddings) yield return new(Output, config.VocabularySize, config.HiddenSize);
    }

    /// <summary>The tensors of one layer, in the order of the forward pass.</summary>
    public static IReadOnlyList<TensorShape> OfLayer(LlamaConfig config, int layer)
    {
        var (d, f) = (config.HiddenSize, config.FfnSize);
        var (q, kv) = ((long)config.HeadCount * config.HeadSize, (long)config.KvHeadCount * config.HeadSize);
        return
        [
            Of("attn_norm", 1, d), Of(Query, q, d), Of(Key, kv, d), Of("attn_v", kv, d), Of("attn_output", d, q),
            Of("ffn_norm", 1, d), Of("ffn_gate", f, d), Of("ffn_up", f, d), Of(Down, d, f),
        ];

        TensorShape Of(string part, long rows, long columns) => new(OfLayer(layer, part), rows, columns);
    }
}

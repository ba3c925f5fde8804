using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats;

/// <summary>The tensors that a Llama of a given config consists of: names and shapes.</summary>
public static class LlamaTensors
{
    public const string Embedding = "token_embd.weight";
    public const string OutputNorm = "output_norm.weight";
    public const string Output = "output.weight";
    public const string RopeFactors = "rope_freqs.weight";

    /// <summary>What the name of a bias ends with.</summary>
    public const string BiasEnd = ".bias";

    /// <summary>The parts of a layer whose rows RoPE's pairs come from; see <see cref="OfLayer"/>.</summary>
    public const string Query = "attn_q";

    /// <inheritdoc cref="Query"/>
    public const string Key = "attn_k";

    public const string Value = "attn_v";
    public const string AttentionNorm = "attn_norm";
    public const string FfnNorm = "ffn_norm";
    public const string AttentionOutput = "attn_output";

    /// <summary>The part of a layer whose columns are its feed-forward's.</summary>
    public const string Down = "ffn_down";

    /// <summary>The name of a layer's tensor; <paramref name="part"/> is <c>attn_q</c>, <c>ffn_norm</c>...</summary>
    public static string OfLayer(int layer, string part) => $"blk.{layer}.{part}.weight";

    /// <summary>The name of what is added to the outputs of a layer's matrix.</summary>
    public static string BiasOfLayer(int layer, string part) => $"blk.{layer}.{part}{BiasEnd}";

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
        var (d, sizes) = (config.HiddenSize, config.SizesOf(layer));
        var (q, kv, f) = ((long)sizes.HeadCount * config.HeadSize, (long)sizes.KvHeadCount * config.HeadSize, sizes.FfnSize);
        IEnumerable<TensorShape> attention =
            sizes.HasAttention
                ? [Of(AttentionNorm, 1, d), Of(Query, q, d), Of(Key, kv, d), Of(Value, kv, d), Of(AttentionOutput, d, q), .. BiasesOf(config, layer)]
            : sizes.IsLinear ? [Of(AttentionNorm, 1, d), Of(AttentionOutput, d, d)]
            : [];
        IEnumerable<TensorShape> feedForward =
            config.HasExperts(layer) ? [Of(FfnNorm, 1, d), .. OfExperts(layer, d, config.Experts!)]
            : sizes.HasFeedForward ? [Of(FfnNorm, 1, d), Of("ffn_gate", f, d), Of("ffn_up", f, d), Of(Down, d, f)]
            : [];
        return [.. attention, .. feedForward];

        TensorShape Of(string part, long rows, long columns) => new(OfLayer(layer, part), rows, columns);
    }

    /// <summary>The biases of one layer's attention.</summary>
    public static IEnumerable<TensorShape> BiasesOf(LlamaConfig config, int layer)
    {
        var sizes = config.SizesOf(layer);
        if (!sizes.HasAttention) yield break;
        var (q, kv) = ((long)sizes.HeadCount * config.HeadSize, (long)sizes.KvHeadCount * config.HeadSize);
        if (config.Biases.HasFlag(AttentionBiases.Inputs))
            foreach (var (part, length) in ((string, long)[])[(Query, q), (Key, kv), (Value, kv)]) yield return new(BiasOfLayer(layer, part), 1, length);
        if (config.Biases.HasFlag(AttentionBiases.Output)) yield return new(BiasOfLayer(layer, AttentionOutput), 1, config.HiddenSize);
    }

    /// <summary>The tensor by whose blocks a layer's feed-forward can be cut: its down matrix, or the first expert's. Null: it has no feed-forward.</summary>
    public static string? DownOf(LlamaConfig config, int layer) =>
        config.HasExperts(layer) ? OfLayer(layer, Down + ExpertTensors.Suffix(0))
        : config.SizesOf(layer).HasFeedForward ? OfLayer(layer, Down)
        : null;

    static IEnumerable<TensorShape> OfExperts(int layer, long d, ExpertMixture experts)
    {
        var f = experts.FfnSize;
        yield return new(OfLayer(layer, ExpertTensors.Router), experts.Count, d);
        (string Part, long Rows, long Columns)[] parts = [("ffn_gate", f, d), ("ffn_up", f, d), (Down, d, f)];
        foreach (var (part, rows, columns) in parts)
            for (var expert = 0; expert < experts.Count; expert++) yield return new(OfLayer(layer, part + ExpertTensors.Suffix(expert)), rows, columns);
        if (!experts.HasShared) yield break;
        foreach (var (part, rows, columns) in parts) yield return new(OfLayer(layer, part + ExpertTensors.Shared), rows, columns);
    }
}

/// <summary>
/// Whether stored tensors are exactly those that a config asks for: all there, each of its shape, and none that this program
/// does not know and would leave out of the computation (biases, adapters...).
/// </summary>
static class LlamaTensorRules
{
    /// <summary>What is wrong first, as a clause that names the tensor; null if nothing is.</summary>
    /// <param name="nameInFiles">What the model's files call a tensor of a GGUF name; null where they have these names.</param>
    public static string? FirstProblem(LlamaConfig config, IReadOnlyDictionary<string, TensorInfo> tensors, Func<string, string>? nameInFiles = null)
    {
        var nameOf = nameInFiles ?? (name => name);
        HashSet<string> expected = new(StringComparer.Ordinal);
        foreach (var shape in LlamaTensors.Of(config))
        {
            if (!tensors.TryGetValue(shape.Name, out var tensor)) return $"tensor {nameOf(shape.Name)} is missing";
            if (tensor.Rows != shape.Rows || tensor.Columns != shape.Columns)
                return $"tensor {nameOf(shape.Name)} has shape [{tensor.Rows}, {tensor.Columns}]; the config asks for [{shape.Rows}, {shape.Columns}]";
            expected.Add(shape.Name);
        }
        var unknown = tensors.Keys.FirstOrDefault(name => !expected.Contains(name));
        return unknown is null ? null : Unknown(nameOf(unknown));
    }

    public static string Unknown(string name) => name.EndsWith(LlamaTensors.BiasEnd, StringComparison.Ordinal)
        ? $"tensor {ErrorText.Quote(name)} is a bias that the config does not ask for; "
            + "biases of attention (q, k and v in all layers, o in all layers) are supported, others are not"
        : $"tensor {ErrorText.Quote(name)} is not one of a Llama model of this config, and would be left out of the computation";

    /// <summary>Whether a row of <paramref name="columns"/> elements can be stored in this type; null if it can.</summary>
    public static string? RowProblem(string name, TensorType type, long columns) => columns % type.BlockSize() == 0
        ? null
        : $"tensor {ErrorText.Quote(name)} has {columns} columns, which are not whole {type} blocks of {type.BlockSize()}";
}

using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>
/// Which types the tensors of a shape have, for planning models whose files are elsewhere: all matrices of one type, as
/// `bench --shape` has them, or llama.cpp's usual mixes q4_k_m and q5_k_m, where the matrices that matter most (the head, and attn_v
/// and ffn_down in part of the layers) have more bits (https://github.com/ggml-org/llama.cpp/blob/master/src/llama-quant.cpp).
/// </summary>
public static class TensorMix
{
    static readonly Dictionary<string, TensorType> Mixes = new(StringComparer.Ordinal) { ["q4_k_m"] = TensorType.Q4_K, ["q5_k_m"] = TensorType.Q5_K };

    /// <summary>What can be asked for.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Mixes.Keys, .. Enum.GetNames<TensorType>().Select(name => name.ToLowerInvariant())];

    /// <param name="mix">One of <see cref="Names"/>, in any case.</param>
    /// <returns>Null if there is no such mix.</returns>
    /// <exception cref="ModelFormatException">A matrix of this shape cannot be of its type.</exception>
    public static IReadOnlyList<TensorInfo>? TensorsOf(LlamaConfig config, string mix)
    {
        var name = mix.ToLowerInvariant();
        if (Mixes.TryGetValue(name, out var usual)) return [.. LlamaTensors.Of(config).Select(shape => Describe(shape, TypeIn(shape, usual, config)))];
        return Names.Contains(name)
            ? [.. LlamaTensors.Of(config).Select(shape => Describe(shape, Enum.Parse<TensorType>(name, ignoreCase: true)))]
            : null;
    }

    static TensorInfo Describe(TensorShape shape, TensorType type)
    {
        if (shape.Rows == 1) return new TensorInfo(shape.Name, TensorType.F32, 1, shape.Columns);
        return LlamaTensorRules.RowProblem(shape.Name, type, shape.Columns) is { } problem
            ? throw new ModelFormatException(problem)
            : new TensorInfo(shape.Name, type, shape.Rows, shape.Columns);
    }

    static TensorType TypeIn(TensorShape shape, TensorType usual, LlamaConfig config)
    {
        if (shape.Name == (config.TiedEmbeddings ? LlamaTensors.Embedding : LlamaTensors.Output)) return TensorType.Q6_K;
        for (var layer = 0; layer < config.LayerCount; layer++)
            if (HasMoreBits(layer, config.LayerCount) && (shape.Name == LlamaTensors.OfLayer(layer, "attn_v") || shape.Name == LlamaTensors.OfLayer(layer, "ffn_down")))
                return TensorType.Q6_K;
        return usual;
    }

    /// <summary>The first and last eighth of the layers, and every third of the others.</summary>
    static bool HasMoreBits(int layer, int layers) =>
        layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

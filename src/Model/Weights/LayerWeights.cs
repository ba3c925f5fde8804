using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Products;

namespace LlamaCluster.Model.Weights;

/// <summary>
/// The weights of one transformer layer that a rank holds. D hidden, F ffn, H heads, G kv heads, E head dim, of F, H and G the rank's own; a matrix
/// is [outputs, inputs].
/// </summary>
sealed record LayerWeights
{
    /// <summary>[D]</summary>
    public required float[] AttentionNorm { get; init; }

    /// <summary>[H * E, D]</summary>
    public required PackedMatrix Query { get; init; }

    /// <summary>[G * E, D]</summary>
    public required PackedMatrix Key { get; init; }

    /// <summary>[G * E, D]</summary>
    public required PackedMatrix Value { get; init; }

    /// <summary>[D, H * E]</summary>
    public required ColumnSlice AttentionOutput { get; init; }

    /// <summary>[D]</summary>
    public required float[] FfnNorm { get; init; }

    /// <summary>[F, D]</summary>
    public required PackedMatrix Gate { get; init; }

    /// <summary>[F, D]</summary>
    public required PackedMatrix Up { get; init; }

    /// <summary>[D, F]</summary>
    public required ColumnSlice Down { get; init; }
}

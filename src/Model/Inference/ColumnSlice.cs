using LlamaCluster.Kernels;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// The columns of a matrix that one rank's activations meet. They are stored in whole blocks, of which the first and the last may hold columns of
/// the ranks beside it as well: there this rank's activations are zero.
/// </summary>
/// <param name="Matrix">[outputs, columns in whole blocks]</param>
/// <param name="Before">Columns of the matrix before the rank's own first one.</param>
sealed record ColumnSlice(PackedMatrix Matrix, int Before);

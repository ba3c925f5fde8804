using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Products;

namespace LlamaCluster.Model.Weights;

/// <summary>
/// The columns of a matrix that one rank's activations meet. They are stored in whole blocks, of which the first and the last may hold columns of
/// the ranks beside it as well: there this rank's activations are zero.
/// </summary>
/// <param name="Matrix">[outputs, columns in whole blocks]</param>
/// <param name="First">Which column of the whole matrix its first one is.</param>
/// <param name="Before">Columns of the matrix before the rank's own first one.</param>
/// <param name="SharesBlocks">Somewhere in the group two ranks have columns of one block; the same on every rank.</param>
sealed record ColumnSlice(PackedMatrix Matrix, int First, int Before, bool SharesBlocks);

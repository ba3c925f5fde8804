using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Products;

namespace LlamaCluster.Model.Weights;

/// <summary>The rows of a matrix whose outputs one rank computes.</summary>
/// <param name="First">Within the matrix; a multiple of 16.</param>
sealed record RowSlice(PackedMatrix Matrix, int First, int Count);

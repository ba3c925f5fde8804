namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Consecutive positions <c>Start .. Start + Rows</c> of one sequence, which are rows <c>FirstRow ..</c> of the step. Position p is in slot
/// <c>p % 16</c> of block <c>Blocks[p / 16]</c>, and attends to positions 0 to p.
/// </summary>
public readonly record struct AttentionChunk(int FirstRow, int Rows, int Start, int[] Blocks);

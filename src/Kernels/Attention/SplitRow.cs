namespace LlamaCluster.Kernels.Attention;

/// <summary>A row whose positions were split over several tasks, partition by partition.</summary>
/// <param name="Row">Row of the step.</param>
/// <param name="FirstState">Its partial states are <c>[Partitions, G]</c> from here on.</param>
readonly record struct SplitRow(int Row, int Partitions, int FirstState);

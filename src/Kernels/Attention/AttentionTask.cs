namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Rows of one chunk that one thread attends with at a time, once for each kv head: over all their positions, or, of a single row, over
/// one partition only, whose result is kept to be added up afterwards.
/// </summary>
/// <param name="Row">First row, counted within the chunk.</param>
/// <param name="Partition">Which partition; -1: all of them, in order.</param>
/// <param name="PartialState">Where the result of the partition is kept: the index of its first kv head's state.</param>
readonly record struct AttentionTask(int Chunk, int Row, int Rows, int Partition, int PartialState);

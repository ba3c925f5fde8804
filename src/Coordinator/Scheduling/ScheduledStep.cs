using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>One forward pass of one micro-batch.</summary>
/// <param name="Chunks">Never empty; activation rows are in this order.</param>
/// <param name="Copies">Blocks to be copied, in this order, before the chunks run.</param>
/// <param name="Ended">Sequences the workers must forget before this step: their blocks may be in it under another sequence.</param>
public sealed record ScheduledStep(IReadOnlyList<ScheduledChunk> Chunks, IReadOnlyList<BlockCopy> Copies, IReadOnlyList<ulong> Ended)
{
    /// <summary>B: token positions in all.</summary>
    public int Rows { get; } = Chunks.Sum(chunk => chunk.Count);
}

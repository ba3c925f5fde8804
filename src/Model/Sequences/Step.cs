using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sequences;

/// <summary>
/// One forward pass of one micro-batch. Activation rows are in the order of the chunks, positions ascending within a chunk.
/// There is no prefill mode and no decode mode: a chunk is any number of consecutive positions of a sequence.
/// </summary>
/// <param name="NewSequences">Facts of sequences that this step names for the first time.</param>
/// <param name="Chunks">At most one per sequence.</param>
public sealed record Step(IReadOnlyList<SequenceStart> NewSequences, IReadOnlyList<Chunk> Chunks)
{
    /// <summary>Done in this order, before the chunks run. A target is in no table yet, and one of the chunks puts it into its own.</summary>
    public IReadOnlyList<BlockCopy> Copies { get; init; } = [];
}

using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>What a returned step brought a sequence that is still wanted.</summary>
/// <param name="Prompt">Log-probabilities of prompt tokens not delivered before.</param>
/// <param name="Finished">Not null: the sequence has ended, its blocks are free.</param>
public sealed record SequenceAdvance(
    Sequence Sequence, IReadOnlyList<SampledToken> Prompt, IReadOnlyList<SampledToken> Tokens, FinishReason? Finished);

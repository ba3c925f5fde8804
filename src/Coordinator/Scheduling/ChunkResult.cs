using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>What a step gave for one of its chunks.</summary>
/// <param name="Tokens">Sampled: at least one and at most the chunk's sample count; empty if that is 0.</param>
/// <param name="Prompt">Log-probabilities of the prompt's tokens that became known, in order, where asked for.</param>
public sealed record ChunkResult(IReadOnlyList<SampledToken> Tokens, IReadOnlyList<SampledToken> Prompt)
{
    public static ChunkResult Empty { get; } = new([], []);
}

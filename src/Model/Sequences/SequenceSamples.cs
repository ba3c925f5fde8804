using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sequences;

/// <summary>What a step gave for one of its sequences.</summary>
/// <param name="Tokens">The sampled token; with drafts, the accepted ones and then the first that differs (or the one after the last draft).</param>
/// <param name="Prompt">
/// Log-probabilities of the chunk's own prompt tokens, from the prompt's second token on, where asked for. Each has the
/// id of the prompt's token.
/// </param>
public sealed record SequenceSamples(ulong SequenceId, IReadOnlyList<SampledToken> Tokens, IReadOnlyList<SampledToken> Prompt);

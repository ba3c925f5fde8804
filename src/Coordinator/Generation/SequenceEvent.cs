using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>What happens to a sequence, in order.</summary>
public abstract record SequenceEvent
{
    SequenceEvent() { }

    /// <summary>The sequence runs: the first event of each that does.</summary>
    /// <param name="CachedTokens">Of the prompt's tokens, those that the prefix cache had.</param>
    public sealed record Begun(int CachedTokens) : SequenceEvent;

    /// <summary>Log-probabilities of the prompt's tokens from the second on, where asked for; may come in several parts, before the first token.</summary>
    public sealed record Prompt(IReadOnlyList<SampledToken> Tokens) : SequenceEvent;

    public sealed record Token(SampledToken Sampled) : SequenceEvent;

    public sealed record Finished(FinishReason Reason) : SequenceEvent;

    /// <summary>It was not taken on: the only event of its sequence.</summary>
    /// <param name="Message">One line for the client: why, and what to do.</param>
    public sealed record Refused(string Message, Refusal Why) : SequenceEvent;

    /// <param name="Message">One line for the client: what happened and what to do.</param>
    /// <param name="Retryable">The same request may succeed later (worker lost) or not (a bug).</param>
    public sealed record Failed(string Message, bool Retryable) : SequenceEvent;
}

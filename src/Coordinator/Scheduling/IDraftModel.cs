using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>A second, smaller model that says how it would go on with a sequence. Safe for concurrent use.</summary>
public interface IDraftModel
{
    /// <summary>Whether it can be asked now: its worker is there and has loaded.</summary>
    bool IsReady { get; }

    /// <summary>Asks for a sequence's next tokens. One question of a sequence is open at a time.</summary>
    /// <param name="answer">
    /// Called once, from any thread, unless the sequence is forgotten before. An answer without tokens: there is none, as when the worker was lost.
    /// </param>
    void Ask(DraftQuestion question, Action<DraftAnswer> answer);

    /// <summary>The sequence has ended.</summary>
    void Forget(ulong sequence);
}

/// <summary>What a draft model is asked.</summary>
/// <param name="Request">The sequence's; the same with each question.</param>
/// <param name="From">Position of the first of <paramref name="Tokens"/>: behind the prompt, and those that earlier questions told.</param>
/// <param name="Tokens">Known since the last question.</param>
/// <param name="Count">How many tokens are wanted; 0: none, but it is to compute what it was told.</param>
public sealed record DraftQuestion(ulong Sequence, SequenceRequest Request, int From, int[] Tokens, int Count);

/// <summary>What a draft model answers.</summary>
/// <param name="Position">Of the first token.</param>
/// <param name="Tokens">As many as were asked for, or fewer.</param>
public sealed record DraftAnswer(ulong Sequence, int Position, int[] Tokens);

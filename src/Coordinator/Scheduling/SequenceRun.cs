using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// A sequence in the hands of one scheduler: what it holds, what the workers of this view know of it, and how far it is. Every view makes
/// a new one. There is no prefill and no decode: tokens are known, and some of them are scheduled.
/// </summary>
public sealed class SequenceRun(Sequence sequence, PromptKeys prompt)
{
    public Sequence Sequence => sequence;

    public ulong Id { get; } = sequence.Id;

    public TokenHistory Tokens { get; } = sequence.Tokens;

    public SamplingOptions Sampling { get; } = sequence.Request.Sampling;

    public int MaxTokens { get; } = sequence.Request.MaxTokens;

    /// <summary>The lower, the earlier.</summary>
    public int Priority { get; } = sequence.Request.Priority;

    public string Client => sequence.Request.Client;

    /// <summary>Positions that were handed to a step, whether it has returned or not, or were computed by others.</summary>
    public int Scheduled { get; internal set; }

    /// <summary>Known tokens that no step has been given yet; 0 while the next one is being computed.</summary>
    public int Unscheduled => Tokens.Count - Scheduled;

    public int StepsInFlight { get; internal set; }

    public bool Ended { get; internal set; }

    /// <summary>Its reader is far behind: it is in no further step until the reader has caught up.</summary>
    public bool Paused { get; internal set; }

    /// <summary>It can be scheduled as soon as there is room.</summary>
    internal bool IsReady => !Paused && Keys.AreKnown;

    internal SequenceKeys Keys { get; } = new(prompt, sequence.Tokens);

    /// <summary>Guesses the sequence's next tokens.</summary>
    internal Drafter Drafter { get; } = new();

    /// <summary>The share of its client; set when it is added to a scheduler.</summary>
    internal ClientShare Share { get; set; } = null!;

    /// <summary>KV blocks held, in position order.</summary>
    internal List<int> Blocks { get; } = [];

    /// <summary>How many of <see cref="Blocks"/> the workers know of.</summary>
    internal int BlocksAnnounced { get; set; }

    /// <summary>How many of <see cref="Blocks"/>, all full, can be found by others.</summary>
    internal int PublishedBlocks { get; set; }

    /// <summary>How many tokens were known when the sequence began, if they end within a block that cannot be found yet.</summary>
    internal int? PartialEnd { get; set; }

    /// <summary>To be made by the step that introduces the sequence.</summary>
    internal BlockCopy? Copy { get; set; }

    /// <summary>The block that the sequence goes on from a copy of, and the key it was found by.</summary>
    internal (PrefixCacheKey Key, int Block)? CopiedFrom { get; set; }

    /// <summary>What another sequence is about to compute and this one waits for.</summary>
    internal PrefixCacheKey? AwaitedPrefix { get; set; }

    /// <summary>The workers know this sequence.</summary>
    internal bool Announced { get; set; }

    /// <summary>Prompt log-probabilities returned since the sequence was last started from its beginning.</summary>
    internal int PromptReported { get; set; }
}

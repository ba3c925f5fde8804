using System.Runtime.InteropServices;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Scheduling.Speculation;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// One prompt and what was generated for it. Its tokens live here as long as it does, so that its KV can be computed again: after
/// preemption, or on other workers. There is no prefill and no decode: tokens are known, and of those some are scheduled.
/// </summary>
/// <param name="id">Grows with arrival: the lower, the older.</param>
/// <param name="prefixes">Of the request's prompt.</param>
public sealed class Sequence(ulong id, SequenceRequest request, PrefixChain prefixes)
{
    readonly List<int> _tokens = [.. request.Prompt];

    public ulong Id => id;

    public SamplingOptions Sampling => request.Sampling;

    public int MaxTokens => request.MaxTokens;

    public IReadOnlySet<int> StopIds => request.StopIds;

    /// <summary>The lower, the earlier.</summary>
    public int Priority => request.Priority;

    /// <summary>On whose behalf.</summary>
    public string Client => request.Client;

    /// <summary>All known tokens: the prompt's, then the generated ones.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    public int PromptLength { get; } = request.Prompt.Count;

    public int GeneratedLength => _tokens.Count - PromptLength;

    /// <summary>The most KV positions it can come to fill: the last token is sampled but never run.</summary>
    public int MaxPositions => PromptLength + Math.Max(0, MaxTokens - 1);

    /// <summary>Positions that were handed to a step, whether it has returned or not, or were computed by others.</summary>
    public int Scheduled { get; internal set; }

    /// <summary>Known tokens that no step has been given yet; 0 while the next one is being computed.</summary>
    public int Unscheduled => _tokens.Count - Scheduled;

    public int StepsInFlight { get; internal set; }

    public bool Ended { get; internal set; }

    /// <summary>Of the prompt's tokens, those whose KV was there when the sequence first began; null before.</summary>
    public int? CachedTokens { get; internal set; }

    /// <summary>Of the sequence's next tokens.</summary>
    internal Drafter Drafter { get; } = new();

    /// <summary>Of its client; set when it is added to a scheduler.</summary>
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

    /// <summary>What another sequence is about to compute and this one waits for.</summary>
    internal PrefixHash? AwaitedPrefix { get; set; }

    /// <summary>The workers know this sequence.</summary>
    internal bool Announced { get; set; }

    /// <summary>Prompt log-probabilities returned since the sequence was last started from its beginning, and the most there ever were.</summary>
    internal int PromptReported { get; set; }

    internal int PromptDelivered { get; set; }

    internal void Append(int token) => _tokens.Add(token);

    public IReadOnlyList<int> TokensOf(int start, int count) => _tokens.GetRange(start, count);

    /// <summary>The hash of the first <paramref name="length"/> tokens.</summary>
    internal PrefixHash HashOf(int length) => prefixes.HashOf(CollectionsMarshal.AsSpan(_tokens), length);
}

using LlamaCluster.Model.Inference;

namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>
/// One prompt and what was generated for it. Its tokens live here as long as it does, so that its KV can be computed again: after
/// preemption, or on other workers. There is no prefill and no decode: tokens are known, and of those some are scheduled.
/// </summary>
/// <param name="id">Grows with arrival: the lower, the older.</param>
public sealed class Sequence(ulong id, IReadOnlyList<int> prompt, SamplingOptions sampling, int maxTokens, IReadOnlySet<int> stopIds)
{
    readonly List<int> _tokens = [.. prompt];

    public ulong Id => id;

    public SamplingOptions Sampling => sampling;

    public int MaxTokens => maxTokens;

    public IReadOnlySet<int> StopIds => stopIds;

    /// <summary>All known tokens: the prompt's, then the generated ones.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    public int PromptLength { get; } = prompt.Count;

    public int GeneratedLength => _tokens.Count - PromptLength;

    /// <summary>The most KV positions it can come to fill: the last token is sampled but never run.</summary>
    public int MaxPositions => PromptLength + Math.Max(0, maxTokens - 1);

    /// <summary>Positions that were handed to a step, whether it has returned or not.</summary>
    public int Scheduled { get; internal set; }

    /// <summary>Known tokens that no step has been given yet; 0 while the next one is being computed.</summary>
    public int Unscheduled => _tokens.Count - Scheduled;

    public int StepsInFlight { get; internal set; }

    public bool Ended { get; internal set; }

    /// <summary>KV blocks held, in position order.</summary>
    internal List<int> Blocks { get; } = [];

    /// <summary>How many of <see cref="Blocks"/> the workers know of.</summary>
    internal int BlocksAnnounced { get; set; }

    /// <summary>The workers know this sequence.</summary>
    internal bool Announced { get; set; }

    /// <summary>Prompt log-probabilities returned since the sequence was last started from its beginning, and the most there ever were.</summary>
    internal int PromptReported { get; set; }

    internal int PromptDelivered { get; set; }

    internal void Append(int token) => _tokens.Add(token);

    public IReadOnlyList<int> TokensOf(int start, int count) => _tokens.GetRange(start, count);
}

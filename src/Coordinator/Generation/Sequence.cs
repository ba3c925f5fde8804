using System.Collections;
using LlamaCluster.Coordinator.Weights;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>
/// One prompt and what was generated for it, what of that was delivered, and when it came. A sequence does not depend on the view that runs
/// it: with its tokens, its KV can be computed again, after a preemption or on other workers. What the scheduler of one view keeps of it is
/// a <c>SequenceRun</c>.
/// </summary>
/// <param name="id">Grows with arrival: the lower, the older.</param>
/// <param name="time">What the timestamps are taken from.</param>
/// <param name="submitted">When it was submitted, as a timestamp; null: now.</param>
public sealed class Sequence(ulong id, SequenceRequest request, TimeProvider time, long? submitted = null)
{
    long? _begun;
    long? _firstToken;
    long? _lastToken;

    public ulong Id => id;

    public SequenceRequest Request { get; private set; } = request;

    /// <summary>All known tokens: the prompt's, then the generated ones.</summary>
    public TokenHistory Tokens { get; } = new(request.Prompt, request.SoFar?.Generated ?? []);

    public int PromptLength => Tokens.PromptLength;

    public int GeneratedLength => Tokens.Count - Tokens.PromptLength;

    /// <summary>The most KV positions it can come to fill: the last token is sampled but never run.</summary>
    public int MaxPositions => (int)Math.Min(int.MaxValue, PromptLength + (long)Math.Max(0, Request.MaxTokens - 1));

    /// <summary>Keeps its adapter; null: it uses none, or nobody keeps count. Whoever made it disposes of it.</summary>
    internal AdapterUse? AdapterUse { get; init; }

    /// <summary>How many of the prompt's tokens had their KV when the sequence first began; null before.</summary>
    public int? CachedTokens { get; internal set; }

    /// <summary>Log-probabilities of the prompt that were delivered.</summary>
    public int PromptDelivered { get; internal set; } = request.SoFar?.PromptDelivered ?? 0;

    /// <summary>When it was submitted, as a timestamp.</summary>
    public long Submitted { get; } = submitted ?? time.GetTimestamp();

    /// <summary>Null where its request is not traced.</summary>
    SequenceTrace? Trace { get; } = SequenceTrace.Of(request.TraceParent, id, time, submitted ?? time.GetTimestamp());

    /// <summary>Its first step has been sent to the workers.</summary>
    public bool HasBegun => _begun is not null;

    public SequenceTimes Times => new(time.GetUtcNow() - time.GetElapsedTime(Submitted), Since(_begun), Since(_firstToken), Since(_lastToken));

    /// <summary>Lets it have no more tokens than a KV cache of so many positions has room for, if nobody asked for so many.</summary>
    internal void Fit(long positions)
    {
        var most = positions - PromptLength + 1;   // the last token is sampled but never run
        if (Request.MaxTokensIsDefault && Request.MaxTokens > most && most > GeneratedLength) Request = Request with { MaxTokens = (int)most };
    }

    internal void Begin(long now)
    {
        AdapterUse?.Begin();
        if (_begun is null) Trace?.Begin(now);
        _begun ??= now;
    }

    /// <summary>Tokens were generated.</summary>
    /// <param name="now">A timestamp.</param>
    /// <returns>The time since the last ones, or since it was submitted.</returns>
    internal TimeSpan Generated(long now)
    {
        var since = time.GetElapsedTime(_lastToken ?? Submitted, now);
        if (_firstToken is null) Trace?.FirstToken(now);
        (_firstToken, _lastToken) = (_firstToken ?? now, now);
        return since;
    }

    /// <summary>It is over, however it ended.</summary>
    /// <param name="outcome">In the words of metrics.</param>
    internal void End(string outcome) => Trace?.End(outcome, time.GetTimestamp());

    TimeSpan? Since(long? timestamp) => timestamp is { } at ? time.GetElapsedTime(Submitted, at) : null;
}

/// <summary>The tokens of a sequence: the prompt's, which are not copied, and those that were generated.</summary>
public sealed class TokenHistory(IReadOnlyList<int> prompt, IReadOnlyList<int> generated) : IReadOnlyList<int>
{
    readonly List<int> _generated = [.. generated];

    public TokenHistory(IReadOnlyList<int> prompt) : this(prompt, [])
    {
    }

    public int PromptLength { get; } = prompt.Count;

    public int Count { get; private set; } = prompt.Count + generated.Count;

    public int this[int position] => position < PromptLength ? prompt[position] : _generated[position - PromptLength];

    public void Append(int token)
    {
        _generated.Add(token);
        Count++;
    }

    /// <summary>Takes back all generated tokens from a position behind the prompt on.</summary>
    public void Truncate(int position)
    {
        _generated.RemoveRange(position - PromptLength, Count - position);
        Count = position;
    }

    public IEnumerator<int> GetEnumerator() => prompt.Concat(_generated).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

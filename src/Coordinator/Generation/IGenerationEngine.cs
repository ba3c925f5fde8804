using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Text.Grammars;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>What the API needs of the cluster: one model, run for many sequences at a time.</summary>
public interface IGenerationEngine
{
    /// <summary>Whether a model is loaded on all stages, and if not, why. An immutable snapshot.</summary>
    EngineStatus Status { get; }

    /// <summary>
    /// Queues a sequence when it is first read. Its events come in order, and the last is exactly one <see cref="SequenceEvent.Finished"/>,
    /// <see cref="SequenceEvent.Failed"/> or <see cref="SequenceEvent.Refused"/>. Cancelling, or leaving the stream early, ends the sequence
    /// at once and frees its KV blocks; cancelling ends the stream with <see cref="OperationCanceledException"/>.
    /// </summary>
    IAsyncEnumerable<SequenceEvent> GenerateAsync(SequenceRequest request, CancellationToken cancellation);

    /// <summary>
    /// Queues the sequences of one client's request together: all of them are taken on, or none. They are queued when the first stream is read.
    /// Each stream is as that of <see cref="GenerateAsync"/>, with a token of its own (<c>WithCancellation</c>), and each must be read or left.
    /// </summary>
    /// <returns>One stream per request, in order.</returns>
    IReadOnlyList<IAsyncEnumerable<SequenceEvent>> GenerateTogether(IReadOnlyList<SequenceRequest> requests)
        => [.. requests.Select(request => GenerateAsync(request, CancellationToken.None))];
}

/// <param name="Reason">One line for people: what the engine waits for or what went wrong; empty when ready.</param>
public sealed record EngineStatus(bool Ready, string Reason, ulong ViewVersion)
{
    /// <summary>Positions of the whole KV cache. A prompt and all generated tokens but the last must fit. Null before the first view is ready.</summary>
    public int? MaxPositions { get; init; }

    /// <summary>Workers were lost, and others are about to take over. Sequences wait for that, for a limited time; new ones may come.</summary>
    public bool IsRecovering { get; init; }

    /// <summary>The workers of the cluster; null where the engine has none.</summary>
    public WorkerCounts? Workers { get; init; }

    /// <summary>Another coordinator's replica takes sequences that this one has no replica for.</summary>
    public bool IsServedElsewhere { get; init; }

    /// <summary>Whether sequences are taken on.</summary>
    public bool TakesSequences => Ready || IsRecovering || IsServedElsewhere;
}

/// <summary>How many workers there are, and what for.</summary>
/// <param name="Wanted">That the operator wants to serve.</param>
/// <param name="Serving">That have a part of the model in the view that serves or is being loaded.</param>
/// <param name="Spare">That could take over.</param>
/// <param name="Suspected">That are silent for longer than is usual for them.</param>
/// <param name="SetAside">That plans do without where they can, because they failed again and again.</param>
public sealed record WorkerCounts(int Wanted, int Serving, int Spare, int Suspected, int SetAside);

/// <summary>One prompt to continue. The API has checked that prompt and generated tokens fit the context.</summary>
/// <param name="Prompt">Must not change any more. Sequences that are queued together share work if they have the very same list.</param>
/// <param name="StopIds">Ids that end the sequence (reported as its last token, not part of the text).</param>
public sealed record SequenceRequest(IReadOnlyList<int> Prompt, SamplingOptions Sampling, int MaxTokens, IReadOnlySet<int> StopIds)
{
    /// <summary>Nobody asked for so many tokens: where the context or the KV cache has room for fewer, the sequence gets those.</summary>
    public bool MaxTokensIsDefault { get; init; }

    /// <summary>The lower, the earlier it runs. Sequences of a higher number make room for it.</summary>
    public int Priority { get; init; }

    /// <summary>Whose request it is. The clients of one priority get equal shares.</summary>
    public string Client { get; init; } = "";

    /// <summary>KV is shared only among requests of the same salt.</summary>
    public string CacheSalt { get; init; } = "";

    /// <summary>What changes the model for this sequence; null: nothing.</summary>
    public SequenceAdapter? Adapter { get; init; }

    /// <summary>The conversation that this is a turn of: what it has computed is kept for the next turn. Null: none.</summary>
    public string? SessionKey { get; init; }

    /// <summary>Names the client's request in logs, here and on the workers: at most 128 visible ASCII characters.</summary>
    public string RequestId { get; init; } = "";

    /// <summary>The W3C traceparent of the client's request; empty: none.</summary>
    public string TraceParent { get; init; } = "";

    /// <summary>The form that the generated text must have; null: any. The API has checked that it compiles.</summary>
    public GrammarSource? Grammar { get; init; }

    /// <summary>Where the KV of the prompt's beginning is, as far as the session knows; null: it does not.</summary>
    public KvPlace? KvAt { get; init; }

    /// <summary>What another replica has done of it already; null: nothing.</summary>
    public SequenceSoFar? SoFar { get; init; }
}

/// <summary>A low-rank adapter that a sequence uses.</summary>
/// <param name="Digest">Of its content: sequences of other adapters, or of none, share no KV with those of this one.</param>
public sealed record SequenceAdapter(string Digest)
{
    /// <summary>How workers know it.</summary>
    public ulong Id { get; } = AdapterIdentity.IdOf(Digest);

    /// <summary>V, where the adapter has a vocabulary of its own: ids are below it. Null: it has the model's.</summary>
    public int? OwnVocabulary { get; init; }

    public static SequenceAdapter Of(ServedAdapter adapter)
        => new(adapter.Digest) { OwnVocabulary = adapter.Text is null ? null : adapter.Weights.Content.VocabularySize };
}

/// <param name="Replica">The replica's name.</param>
/// <param name="Positions">From the first on. The replica may have given them up since.</param>
public sealed record KvPlace(string Replica, int Positions);

/// <summary>How far a sequence was when its replica was lost. With this it goes on elsewhere as if nothing had happened.</summary>
/// <param name="Generated">Must not change any more.</param>
/// <param name="PromptDelivered">Log-probabilities of the prompt that were delivered.</param>
public sealed record SequenceSoFar(IReadOnlyList<int> Generated, int PromptDelivered);

/// <summary>What happens to a sequence, in order.</summary>
public abstract record SequenceEvent
{
    SequenceEvent() { }

    /// <summary>The sequence runs: the first event of each that does.</summary>
    /// <param name="CachedTokens">How many of the prompt's tokens the prefix cache had.</param>
    public sealed record Begun(int CachedTokens) : SequenceEvent
    {
        /// <summary>The replica that runs it; empty where the engine has no names for them.</summary>
        public string Replica { get; init; } = "";
    }

    /// <summary>Log-probabilities of the prompt's tokens from the second on, where asked for; may come in several parts, before the first token.</summary>
    public sealed record Prompt(IReadOnlyList<SampledToken> Tokens) : SequenceEvent;

    public sealed record Token(SampledToken Sampled) : SequenceEvent;

    /// <summary>The prompt's pooled hidden states, where asked for, before the end.</summary>
    /// <param name="Vector">[D]</param>
    public sealed record Embedded(IReadOnlyList<float> Vector) : SequenceEvent;

    public sealed record Finished(FinishReason Reason) : SequenceEvent
    {
        /// <summary>When it came and went; null where the engine keeps no time.</summary>
        public SequenceTimes? Times { get; init; }

        /// <summary>Two ends are equal if they have the same reason, whenever they came.</summary>
        public bool Equals(Finished? other) => other is not null && Reason == other.Reason;

        public override int GetHashCode() => Reason.GetHashCode();
    }

    /// <summary>The sequence was not taken on: its only event.</summary>
    /// <param name="Message">One line for the client: why, and what to do.</param>
    public sealed record Refused(string Message, Refusal Why) : SequenceEvent;

    /// <param name="Message">One line for the client: what happened and what to do.</param>
    /// <param name="Retryable">The same request may succeed later (a worker was lost) or not (a bug, or numbers that are not finite).</param>
    public sealed record Failed(string Message, bool Retryable) : SequenceEvent;
}

public enum FinishReason
{
    /// <summary>A stop id was generated.</summary>
    Stop,

    /// <summary>The limit of tokens was reached.</summary>
    Length,
}

/// <summary>Why a sequence was not taken on.</summary>
public enum Refusal
{
    /// <summary>No model is loaded, or the coordinator takes on nothing more: later it may.</summary>
    NotReady,

    /// <summary>As many sequences wait as may: later there is room.</summary>
    QueueFull,

    /// <summary>It could come to need more KV cache than the cluster has.</summary>
    TooLarge,

    /// <summary>As many sequences of this client wait as may: later there is room.</summary>
    ClientQueueFull,

    /// <summary>Its turn did not come in time: later it may.</summary>
    WaitedTooLong,

    /// <summary>Its adapter has been unloaded.</summary>
    NoAdapter,
}

/// <summary>The stations of a sequence, each counted from when it was submitted. Null: it never came so far.</summary>
/// <param name="Begun">Its first step was sent to the workers.</param>
public sealed record SequenceTimes(DateTimeOffset Submitted, TimeSpan? Begun, TimeSpan? FirstToken, TimeSpan? LastToken);

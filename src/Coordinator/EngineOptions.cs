using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator;

/// <summary>How much the cluster takes on at a time.</summary>
public sealed record EngineOptions
{
    /// <summary>The most token positions of one step; the workers' buffers are made for it. 2 to 65536, default 512.</summary>
    public int MaxStepRows { get; init; } = 512;

    /// <summary>The most prompt positions of one step: how long a prompt may hold running streams up. 1 to <see cref="MaxStepRows"/>, default 128.</summary>
    public int MaxPromptRows { get; init; } = 128;

    /// <summary>Sequences that run at a time. 1 to <see cref="MaxStepRows"/> - 1, default 64.</summary>
    public int MaxRunning { get; init; } = 64;

    /// <summary>Sequences that wait, beyond as many as may run; more are refused. 0 to 100000, default 512.</summary>
    public int MaxWaiting { get; init; } = 512;

    /// <summary>Of these, sequences of one client. 1 to 100000; null, the default: a quarter of <see cref="MaxWaiting"/>.</summary>
    public int? MaxWaitingPerClient { get; init; }

    /// <summary>A sequence whose turn does not come within this time is refused. 1 ms to 24 h, default 10 min.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>A sequence whose reader has left so many events unread is paused until the reader catches up. 16 to 1000000, default 4096.</summary>
    public int MaxUnreadTokens { get; init; } = 4096;

    /// <summary>Whether requests share the KV of the prefixes that they have in common; default true.</summary>
    public bool CachePrefixes { get; init; } = true;

    /// <summary>
    /// Whether the next tokens of greedy streams are guessed from their own text and verified several at a time, where that seems faster. It
    /// changes no text. Default true.
    /// </summary>
    public bool Speculate { get; init; } = true;

    /// <summary>
    /// Token positions that all sequences together may keep in the KV cache. Null: what <see cref="MaxRunning"/> sequences of the full
    /// context need, at most 65536 or one full context, whichever is more. Less where a worker's memory does not suffice.
    /// </summary>
    public int? KvTokens { get; init; }

    public KvType KvType { get; init; } = KvType.F16;

    /// <summary>How activations travel from stage to stage.</summary>
    public ActivationType ActivationType { get; init; } = ActivationType.F32;

    /// <summary>How partial sums travel between the ranks of a stage.</summary>
    public ActivationType SumType { get; init; } = ActivationType.F32;
}

using LlamaCluster.Protos;
using Microsoft.Extensions.Options;
using static LlamaCluster.Coordinator.OptionRange;

namespace LlamaCluster.Coordinator;

/// <summary>How much the cluster computes at a time, and in which number formats.</summary>
public sealed record EngineOptions
{
    /// <summary>The most token positions of one step; the workers' buffers have this size. 2 to 65536, default 512.</summary>
    public int MaxStepRows { get; init; } = 512;

    /// <summary>
    /// The most prompt positions of one step. Fewer keep running streams smoother, more read prompts faster. 1 to <see cref="MaxStepRows"/>, default 128.
    /// </summary>
    public int MaxPromptRows { get; init; } = 128;

    /// <summary>The most sequences that run at a time. 1 to <see cref="MaxStepRows"/> - 1, default 64.</summary>
    public int MaxRunning { get; init; } = 64;

    /// <summary>The most sequences that wait for one of the <see cref="MaxRunning"/> places; more are refused. 0 to 100000, default 512.</summary>
    public int MaxWaiting { get; init; } = 512;

    /// <summary>Of these, sequences of one client. 1 to 100000; null, the default: a quarter of <see cref="MaxWaiting"/>.</summary>
    public int? MaxWaitingPerClient { get; init; }

    /// <summary>A sequence whose turn does not come within this time is refused. 1 ms to 24 h, default 10 min.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>A sequence whose reader has left so many events unread is paused until the reader catches up. 16 to 1000000, default 4096.</summary>
    public int MaxUnreadTokens { get; init; } = 4096;

    /// <summary>Whether requests share the KV cache of the prefixes that they have in common. Default true.</summary>
    public bool CachePrefixes { get; init; } = true;

    /// <summary>
    /// How long what a session has computed stays in memory after its last request, where requests of no session would take its place. Zero: no longer than
    /// theirs. 0 to 24 h, default 10 min.
    /// </summary>
    public TimeSpan SessionHold { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>
    /// Whether greedy streams guess their next tokens from their own text and verify several in one step, where that is expected to be
    /// faster. The text stays the same. Default true.
    /// </summary>
    public bool Speculate { get; init; } = true;

    /// <summary>The most tokens that are guessed for a stream at a time.</summary>
    public const int MostDraftTokens = 15;

    /// <summary>
    /// Tokens that a draft model is asked for each time, whether they are expected to pay or not. 1 to <see cref="MostDraftTokens"/>. Null, the default: as
    /// many as pay by what was measured, or none.
    /// </summary>
    public int? DraftTokens { get; init; }

    /// <summary>
    /// Token positions that the KV cache holds for all sequences together. 16 to 2^30. Null, the default: what <see cref="MaxRunning"/>
    /// sequences of the full context need, limited to 65536 or one full context, whichever is larger. A worker with too little memory
    /// lowers it.
    /// </summary>
    public int? KvTokens { get; init; }

    /// <summary>F32, F16 or Q80. Default F16.</summary>
    public KvType KvType { get; init; } = KvType.F16;

    /// <summary>The format of activations on their way from stage to stage: F32, Bf16 or Q8. Default F32.</summary>
    public ActivationType ActivationType { get; init; } = ActivationType.F32;

    /// <summary>The format of partial sums between the ranks of a stage: F32, Bf16 or Q8. Default F32.</summary>
    public ActivationType SumType { get; init; } = ActivationType.F32;
}

/// <summary>The ranges of <see cref="EngineOptions"/>; names the first wrong value.</summary>
public sealed class EngineOptionsValidator : IValidateOptions<EngineOptions>
{
    public ValidateOptionsResult Validate(string? name, EngineOptions options)
        => FirstProblem(options) is { } problem ? ValidateOptionsResult.Fail(problem) : ValidateOptionsResult.Success;

    static string? FirstProblem(EngineOptions options) =>
        Problem("--max-step-rows", options.MaxStepRows, 2, 65536)
        ?? Problem("--max-prompt-rows", options.MaxPromptRows, 1, options.MaxStepRows)
        ?? (options.MaxRunning >= options.MaxStepRows
            ? $"--max-running is {options.MaxRunning}; it must be less than --max-step-rows, which is {options.MaxStepRows}"
            : Problem("--max-running", options.MaxRunning, 1, options.MaxStepRows - 1))
        ?? Problem("--max-waiting", options.MaxWaiting, 0, 100_000)
        ?? (options.MaxWaitingPerClient is { } perClient ? Problem(nameof(options.MaxWaitingPerClient), perClient, 1, 100_000) : null)
        ?? Problem(nameof(options.MaxWait), options.MaxWait)
        ?? (options.SessionHold == TimeSpan.Zero ? null : Problem("--session-hold", options.SessionHold))
        ?? Problem(nameof(options.MaxUnreadTokens), options.MaxUnreadTokens, 16, 1_000_000)
        ?? (options.DraftTokens is { } drafts ? Problem("--draft-tokens", drafts, 1, EngineOptions.MostDraftTokens) : null)
        ?? (options.KvTokens is { } tokens ? Problem("--kv-tokens", tokens, 16, 1 << 30) : null)
        ?? (options.KvType is KvType.F32 or KvType.F16 or KvType.Q80 or KvType.Q40 ? null : $"--kv-type is {options.KvType}; it must be f32, f16, q8_0 or q4_0")
        ?? (IsAllowed(options.ActivationType) ? null : $"ActivationType is {options.ActivationType}; it must be F32, Bf16 or Q8")
        ?? (IsAllowed(options.SumType) ? null : $"--sum-type is {options.SumType}; it must be f32, bf16 or q8");

    static bool IsAllowed(ActivationType type) => type is ActivationType.F32 or ActivationType.Bf16 or ActivationType.Q8;
}

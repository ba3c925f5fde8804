namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>The budgets that <see cref="StepScheduler"/> keeps.</summary>
public sealed record SchedulerLimits
{
    /// <summary>S: steps under way at a time, one per pipeline stage.</summary>
    public required int StepsInFlight { get; init; }

    /// <summary>The most token positions of one step. The workers' buffers are made for it.</summary>
    public int MaxStepRows { get; init; } = 512;

    /// <summary>The most prompt positions of one step: a long prompt delays running streams by no more than that many rows at a time.</summary>
    public int MaxPromptRows { get; init; } = 128;

    /// <summary>Prompts are not cut finer than this to give every stage a share: smaller pieces would read the weights more often than they save.</summary>
    public int MinPromptRows { get; init; } = 32;

    /// <summary>The most bytes of one step's message to a worker.</summary>
    public int MaxStepBytes { get; init; } = int.MaxValue;

    /// <summary>
    /// A prompt that has begun goes on until its client has been served so many positions more than another client whose prompt waits.
    /// Then that one's turn comes. A smaller lead would begin many prompts and finish none; a larger one would let a long prompt keep the others waiting.
    /// </summary>
    public int PromptLead { get; init; } = 512;

    /// <summary>Sequences that hold KV blocks. Less than <see cref="MaxStepRows"/>, so that prompts always find room beside the streams.</summary>
    public int MaxRunning { get; init; } = 128;

    /// <summary>Sequences that wait for blocks, beyond as many as can run; more are refused.</summary>
    public int MaxWaiting { get; init; } = 512;

    /// <summary>Of these, sequences of one client.</summary>
    public int MaxWaitingPerClient { get; init; } = int.MaxValue;

    /// <summary>
    /// The most tokens that are guessed for a stream, to be verified by the step that computes its next one (<see cref="Drafter"/>); 0: none.
    /// </summary>
    public int MaxDraftTokens { get; init; }

    /// <summary>Of these, how many a draft model is asked for, whether they pay or not; null: as many as pay.</summary>
    public int? DraftTokens { get; init; }

    /// <summary>Whether sequences share the KV of common prefixes.</summary>
    public bool CachePrefixes { get; init; } = true;

    /// <summary>How long blocks of a session outlive others after its last sequence ended (<see cref="SessionHolds"/>); zero: they do not.</summary>
    public TimeSpan SessionHold { get; init; }
}

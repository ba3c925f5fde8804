using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Costs;

public enum PlanObjective
{
    /// <summary>The least time per token of one stream.</summary>
    Latency,

    /// <summary>The most tokens per second of all streams together.</summary>
    Throughput,
}

/// <summary>Whether ranks of a stage have whole experts, in place of some columns of each.</summary>
public enum ExpertParallel
{
    /// <summary>Where it is faster, or the only way.</summary>
    Auto,

    /// <summary>Always.</summary>
    On,

    /// <summary>Never.</summary>
    Off,
}

/// <summary>What a plan is optimised for, and what it must have room for.</summary>
public sealed record PlanGoal
{
    public PlanObjective Objective { get; init; } = PlanObjective.Latency;

    /// <summary>The number of streams that are served at the same time.</summary>
    public int Concurrency { get; init; } = 1;

    /// <summary>KV blocks that each worker must have room for.</summary>
    public required long KvBlocks { get; init; }

    /// <summary>Predictions assume that a stream's next token attends to this many positions.</summary>
    public required int Positions { get; init; }

    /// <summary>The prompt length for which the time to the first token is predicted.</summary>
    public int PromptTokens { get; init; } = 512;

    /// <summary>The most prompt rows of one step.</summary>
    public int PromptRows { get; init; } = 128;

    /// <summary>A prompt is not cut into smaller chunks than this just to keep more stages busy.</summary>
    public int LeastPromptRows { get; init; } = 32;

    /// <summary>What a worker needs besides weights and KV cache.</summary>
    public long BufferBytes { get; init; }

    /// <summary>Workers of each stage; null: the planner chooses.</summary>
    public int? RanksPerStage { get; init; }

    public ExpertParallel ExpertParallel { get; init; }

    /// <summary>Every worker must be used, unless there are more workers than layers.</summary>
    public bool UsesAll { get; init; }

    /// <summary>Bytes of a hidden value on its way from stage to stage: 4, 2 or 1.</summary>
    public double ActivationBytes { get; init; } = 4;

    /// <summary>Bytes of a partial sum on its way between ranks.</summary>
    public double SumBytes { get; init; } = 4;

    /// <summary>A goal with room for a full context of each stream. Predictions assume half a context.</summary>
    public static PlanGoal Of(PlanObjective objective, int context, int concurrency) => new()
    {
        Objective = objective,
        Concurrency = concurrency,
        KvBlocks = (long)concurrency * KvBlock.CountFor(context),
        Positions = Math.Max(1, context / 2),
        PromptTokens = Math.Clamp(context / 2, 1, 512),
    };
}

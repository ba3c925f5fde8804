
using LlamaCluster.Primitives;

namespace LlamaCluster.Planning;

/// <summary>What a plan is to be good at, and what it must hold.</summary>
public sealed record PlanGoal
{
    public PlanObjective Objective { get; init; } = PlanObjective.Latency;

    /// <summary>Streams that are served at the same time.</summary>
    public int Concurrency { get; init; } = 1;

    /// <summary>KV blocks that each worker must have room for.</summary>
    public required long KvBlocks { get; init; }

    /// <summary>Positions that a stream's next token attends to, for predictions.</summary>
    public required int Positions { get; init; }

    /// <summary>Tokens of the prompt whose time to the first token is predicted.</summary>
    public int PromptTokens { get; init; } = 512;

    /// <summary>The most prompt rows of one step.</summary>
    public int PromptRows { get; init; } = 128;

    /// <summary>Fewer are not brought just to keep more stages busy.</summary>
    public int LeastPromptRows { get; init; } = 32;

    /// <summary>What a worker needs beside weights and KV cache.</summary>
    public long BufferBytes { get; init; }

    /// <summary>Workers of each stage; null: as the planner finds best.</summary>
    public int? RanksPerStage { get; init; }

    /// <summary>No worker may be left out, unless there are more than layers.</summary>
    public bool UsesAll { get; init; }

    /// <summary>Bytes of a hidden value on its way from stage to stage: 4, 2 or 1.</summary>
    public double ActivationBytes { get; init; } = 4;

    /// <summary>Bytes of a partial sum on its way between ranks.</summary>
    public double SumBytes { get; init; } = 4;

    /// <summary>A goal of so many streams of a full context each, predicted at half of it.</summary>
    public static PlanGoal Of(PlanObjective objective, int context, int concurrency) => new()
    {
        Objective = objective,
        Concurrency = concurrency,
        KvBlocks = (long)concurrency * KvBlock.CountFor(context),
        Positions = Math.Max(1, context / 2),
        PromptTokens = Math.Clamp(context / 2, 1, 512),
    };
}

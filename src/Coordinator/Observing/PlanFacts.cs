using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Coordinator.Observing;

/// <summary>A plan with its arithmetic: predicted, not measured.</summary>
/// <param name="Objective">latency or throughput.</param>
/// <param name="GoalStreams">The streams that it is made for.</param>
/// <param name="Choice">The planner's line on what it compared.</param>
/// <param name="Limit">What keeps the plan from being faster.</param>
/// <param name="TokenSeconds">A token of one stream, which is the sum of <paramref name="Token"/>.</param>
/// <param name="BetweenStages">What of it is spent between the stages: links, and the program around them.</param>
/// <param name="PositionsPerStream">That a stream's next token is taken to attend to.</param>
/// <param name="PromptTokens">Of the prompt whose first token takes <paramref name="FirstTokenSeconds"/>.</param>
/// <param name="FullStepSeconds">The largest step allowed.</param>
public sealed record PlanFacts(
    string Model, string Objective, int GoalStreams, int KvBlocks, string Choice, string Limit, double TokenSeconds, PartFacts Token, PartFacts BetweenStages,
    int PositionsPerStream, double FirstTokenSeconds, int PromptTokens, double FullStepSeconds,
    IReadOnlyList<StreamFacts> Streams, IReadOnlyList<PlannedStageFacts> Stages)
{
    public static PlanFacts Of(PlanOutcome.Planned planned)
    {
        var (prediction, problem) = (planned.Pipeline.Prediction, planned.Problem);
        var between = prediction.Stages.Aggregate(prediction.OneToken, (left, stage) => left - stage.OneToken);
        return new PlanFacts(
            problem.Model.Name, problem.Goal.Objective.ToString().ToLowerInvariant(), problem.Goal.Concurrency, planned.KvBlocks, planned.Pipeline.Choice,
            prediction.Limit, prediction.OneToken.Total, PartFacts.Of(prediction.OneToken), PartFacts.Of(between), problem.Goal.Positions,
            prediction.FirstTokenSeconds, problem.Goal.PromptTokens, prediction.FullStepSeconds,
            [.. prediction.Streams.Select(streams => new StreamFacts(streams.Streams, streams.TokensPerSecond, streams.SecondsPerToken))],
            [.. planned.Pipeline.Stages.Select((stage, index) => StageOf(planned, stage, prediction.Stages[index]))]);
    }

    /// <summary>A rank's memory in the plan, with the KV blocks that the plan has room for.</summary>
    internal static RankMemory MemoryOf(PlanOutcome.Planned planned, RankMemory reckoned) =>
        reckoned with { Kv = reckoned.Kv * planned.KvBlocks / planned.Problem.Goal.KvBlocks };

    internal static double ShareOf(RankShares shares, int rank) => (double)shares[rank] / shares.Values.Sum();

    /// <summary>What ranks have of experts; null if the model has none, or nothing is known of it.</summary>
    internal static string? ExpertsOf(PlanOutcome.Planned? planned, RankShares shares) =>
        planned is { Problem.Model.HasExperts: true } ? shares.ExpertsWord : null;

    static PlannedStageFacts StageOf(PlanOutcome.Planned planned, PlannedStage stage, StagePrediction prediction) => new(
        stage.Layers.First, stage.Layers.Count, ExpertsOf(planned, stage.Shares), prediction.OneToken.Total, PartFacts.Of(prediction.OneToken),
        [
            .. stage.Workers.Select((worker, rank) =>
            {
                var (profile, memory) = (planned.Problem.Cluster.Workers[worker], MemoryOf(planned, prediction.Memory[rank]));
                return new PlannedRankFacts(
                    profile.Name, ShareOf(stage.Shares, rank), (long)memory.Weights, (long)memory.Kv, (long)memory.Buffers, profile.MemoryBytes);
            }),
        ]);
}

/// <summary>A time by its causes, in seconds.</summary>
/// <param name="Weights">Reading weights.</param>
/// <param name="Attention">Reading keys and values.</param>
/// <param name="Exchange">Sums between ranks.</param>
/// <param name="Transfer">Activations between stages.</param>
/// <param name="Program">Everything else.</param>
public sealed record PartFacts(double Weights, double Arithmetic, double Attention, double Exchange, double Transfer, double Program)
{
    /// <summary>A sum of differences can come to be a little below 0.</summary>
    public static PartFacts Of(TimeParts time) => new(
        Math.Max(0, time.Weights), Math.Max(0, time.Arithmetic), Math.Max(0, time.Attention),
        Math.Max(0, time.Exchange), Math.Max(0, time.Transfer), Math.Max(0, time.Program));
}

/// <param name="TokensPerSecond">All streams together.</param>
/// <param name="SecondsPerToken">Each stream.</param>
public sealed record StreamFacts(int Streams, double TokensPerSecond, double SecondsPerToken);

/// <param name="Experts">What ranks have of experts (<see cref="RankShares.ExpertsWord"/>); null if the model has none.</param>
/// <param name="Seconds">The slowest rank's time for a token of one stream.</param>
public sealed record PlannedStageFacts(int FirstLayer, int Layers, string? Experts, double Seconds, PartFacts Parts, IReadOnlyList<PlannedRankFacts> Ranks);

/// <param name="MemoryBytes">What the worker has; 0: unknown.</param>
public sealed record PlannedRankFacts(string Worker, double Share, long WeightBytes, long KvBytes, long BufferBytes, long MemoryBytes);

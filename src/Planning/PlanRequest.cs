using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Planning;

/// <summary>What a coordinator asks <see cref="ClusterPlanner"/> for.</summary>
/// <param name="ViewVersion">Higher than that of every earlier plan.</param>
/// <param name="Workers">Where costs are equal, earlier workers get earlier stages.</param>
/// <param name="TensorParallel">Workers per stage; null: the planner chooses.</param>
/// <param name="BufferBytes">What a worker needs besides weights and KV cache.</param>
/// <param name="KvBlocks">The number of KV blocks that is wanted.</param>
/// <param name="MinKvBlocks">A plan that leaves room for fewer is refused.</param>
public sealed record PlanRequest(
    ulong ViewVersion, ModelIdentity Model, ModelFootprint Footprint, IReadOnlyList<CandidateWorker> Workers, int? TensorParallel, long BufferBytes,
    int KvBlocks, int MinKvBlocks)
{
    /// <summary>Measured links between hosts; see <see cref="MeasuredCluster"/>.</summary>
    public IReadOnlyDictionary<(string, string), Link> Links { get; init; } = new Dictionary<(string, string), Link>();

    /// <summary>The most positions of a stream; null: the model's limit. Predictions assume half of them.</summary>
    public int? Context { get; init; }

    public PlanObjective Objective { get; init; } = PlanObjective.Throughput;

    /// <summary>Whether ranks have whole experts.</summary>
    public ExpertParallel ExpertParallel { get; init; }

    /// <summary>The number of streams that the plan is optimised for.</summary>
    public int Streams { get; init; } = 8;
}

/// <summary>The answer to a <see cref="PlanRequest"/>.</summary>
public abstract record PlanOutcome
{
    PlanOutcome() { }

    /// <param name="KvBlocks">The wanted number, or what the worker with the least memory has room for.</param>
    /// <param name="Pipeline">The plan with indices into <see cref="MeasuredCluster.Members"/> for workers.</param>
    /// <param name="Problem">The inputs, with all measurements, that the plan was found for.</param>
    public sealed record Planned(ClusterPlan Plan, int KvBlocks, PlannedPipeline Pipeline, PlanningProblem Problem) : PlanOutcome;

    /// <param name="Reason">One line for people.</param>
    public sealed record Refused(string Reason) : PlanOutcome;
}

/// <summary>The answer of <see cref="PipelinePlanner"/> to a problem.</summary>
public abstract record PipelineOutcome
{
    PipelineOutcome() { }

    public sealed record Planned(PlannedPipeline Pipeline) : PipelineOutcome;

    /// <param name="Reason">One line for people.</param>
    public sealed record Refused(string Reason) : PipelineOutcome;
}

/// <summary>Which layers run on which workers of a cluster's profile, and the predicted performance.</summary>
/// <param name="Stages">In order; their ranges cover every layer once.</param>
/// <param name="Choice">One line: how many schemes were compared, and the next best one.</param>
public sealed record PlannedPipeline(IReadOnlyList<PlannedStage> Stages, PlanPrediction Prediction, string Choice);

/// <summary>The layers of a stage, and the workers that share them.</summary>
/// <param name="Workers">Indices into the cluster's workers, in rank order.</param>
/// <param name="Shares">One share for each worker.</param>
public sealed record PlannedStage(LayerRange Layers, IReadOnlyList<int> Workers, RankShares Shares);

/// <summary>The predicted performance of a plan; computed, not measured.</summary>
/// <param name="OneToken">Where the time for one token of a single stream goes.</param>
/// <param name="Streams">For 1, 2, 4... streams, and for the goal's number of streams.</param>
/// <param name="FirstTokenSeconds">From a prompt's arrival at an idle cluster to its first token.</param>
/// <param name="FullStepSeconds">The time that the largest allowed step takes through all stages.</param>
/// <param name="Limit">One line: what keeps the plan from being faster.</param>
public sealed record PlanPrediction(
    TimeParts OneToken, IReadOnlyList<StagePrediction> Stages, IReadOnlyList<StreamPrediction> Streams, double FirstTokenSeconds, double FullStepSeconds,
    string Limit);

/// <summary>A stage's time for one token of a single stream, and the memory of its ranks.</summary>
/// <param name="OneToken">The slowest rank's time.</param>
/// <param name="Memory">In rank order.</param>
public sealed record StagePrediction(TimeParts OneToken, IReadOnlyList<RankMemory> Memory);

/// <summary>The rates of a number of streams that decode at the same time.</summary>
/// <param name="TokensPerSecond">All streams together.</param>
/// <param name="SecondsPerToken">Each stream.</param>
public sealed record StreamPrediction(int Streams, double TokensPerSecond, double SecondsPerToken);

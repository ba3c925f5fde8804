using LlamaCluster.Planning.Predictions;

namespace LlamaCluster.Planning;

/// <summary>A plan as a value: which layers are on which workers of a cluster's profile, and how that is expected to do.</summary>
/// <param name="Stages">In order; their ranges cover every layer once.</param>
/// <param name="Choice">What it was chosen from, and what came next; one line.</param>
public sealed record PlannedPipeline(IReadOnlyList<PlannedStage> Stages, PlanPrediction Prediction, string Choice);

using LlamaCluster.Planning.Costs;

namespace LlamaCluster.Planning.Predictions;

/// <summary>How a plan is expected to do; computed, not measured.</summary>
/// <param name="OneToken">Where the time of one stream's token goes.</param>
/// <param name="Streams">For 1, 2, 4... streams, and for as many as the goal has.</param>
/// <param name="FirstTokenSeconds">From a prompt's arrival at an idle cluster to its first token.</param>
/// <param name="FullStepSeconds">The way of the fullest step through all stages.</param>
/// <param name="Limit">What it is that keeps it from being faster; one line.</param>
public sealed record PlanPrediction(
    TimeParts OneToken, IReadOnlyList<StagePrediction> Stages, IReadOnlyList<StreamPrediction> Streams, double FirstTokenSeconds, double FullStepSeconds,
    string Limit);

using LlamaCluster.Coordinator.Planning;
using LlamaCluster.Coordinator.Planning.Costs;
using LlamaCluster.Coordinator.Planning.Predictions;

namespace LlamaCluster.Cli.Bench;

/// <summary>What the planner expected of the plan that was measured, from what the workers had measured just before.</summary>
/// <param name="PredictedSeconds">From each token of a stream to the next.</param>
/// <param name="MeasuredSeconds">The same, the median of all streams.</param>
sealed record PredictionCheck(double PredictedSeconds, double MeasuredSeconds)
{
    /// <summary>By how much of the measured time the prediction is too long; less than 0 where it is too short.</summary>
    public double Error => PredictedSeconds / MeasuredSeconds - 1;

    /// <param name="planned">The plan that ran; it is predicted anew for the load as it was.</param>
    public static PredictionCheck Of(PlanOutcome.Planned planned, BenchOptions load, Percentiles betweenTokens)
    {
        var problem = planned.Problem;
        var goal = problem.Goal with { Concurrency = load.Concurrency, Positions = load.PromptTokens + load.GenerateTokens / 2 };
        var asRun = new PlanningProblem(problem.Model, problem.Cluster, goal, problem.Overheads);
        return new PredictionCheck(PlanPredictor.Predict(asRun, planned.Pipeline.Stages).Streams[^1].SecondsPerToken, betweenTokens.P50);
    }
}

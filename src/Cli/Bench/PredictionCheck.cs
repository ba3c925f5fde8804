using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Planning.Profiles;

namespace LlamaCluster.Cli.Bench;

/// <summary>What the planner expected of the plan that was measured. All times are from each token of a stream to the next, in seconds.</summary>
/// <param name="PredictedSeconds">From what the first worker had measured when it started.</param>
/// <param name="PredictedAtReadsSeconds">The same, but with memory as fast as plain reads before and after the round that counts: what is left of the error is the planner's own.</param>
/// <param name="MeasuredSeconds">The median of all streams.</param>
sealed record PredictionCheck(double PredictedSeconds, double PredictedAtReadsSeconds, double MeasuredSeconds)
{
    /// <summary>By how much of the measured time the prediction is too long; less than 0 where it is too short.</summary>
    public double Error => PredictedSeconds / MeasuredSeconds - 1;

    /// <inheritdoc cref="Error"/>
    public double ErrorAtReads => PredictedAtReadsSeconds / MeasuredSeconds - 1;

    /// <param name="planned">The plan that ran; it is predicted anew for the load as it was.</param>
    /// <param name="workerRead">Plain reads by as many threads as a worker has, bytes per second.</param>
    /// <param name="hostRead">By as many as there are processors.</param>
    public static PredictionCheck Of(PlanOutcome.Planned planned, BenchOptions load, Percentiles betweenTokens, double workerRead, double hostRead)
    {
        var problem = planned.Problem;
        var cluster = problem.Cluster;
        var asRead = new ClusterProfile(
            [.. cluster.Workers.Select(worker => worker with { ReadBytesPerSecond = workerRead })],
            [.. cluster.Hosts.Select(host => host with { ReadBytesPerSecond = Math.Max(workerRead, hostRead) })], cluster.Links);
        double SecondsOn(ClusterProfile profile)
        {
            var goal = problem.Goal with { Concurrency = load.Concurrency, Positions = load.PromptTokens + load.GenerateTokens / 2 };
            return PlanPredictor.Predict(new PlanningProblem(problem.Model, profile, goal, problem.Overheads), planned.Pipeline.Stages).Streams[^1].SecondsPerToken;
        }
        return new PredictionCheck(SecondsOn(cluster), SecondsOn(asRead), betweenTokens.P50);
    }

    public string Line() => FormattableString.Invariant(
        $"predicted    {PredictedSeconds:F4} s ({Words(Error)}); at the memory's speed around the round {PredictedAtReadsSeconds:F4} s ({Words(ErrorAtReads)})");

    static string Words(double error) => FormattableString.Invariant($"{Math.Abs(error):P0} {(error < 0 ? "below" : "above")} the p50");
}

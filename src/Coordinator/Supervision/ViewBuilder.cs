using System.Collections.Immutable;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Planning;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>Makes a pipeline of a plan: has the workers load, then opens their streams of steps.</summary>
public sealed class ViewBuilder(
    SupervisorOptions options, ShardLoader loader, PeerChannels channels, CoordinatorMetrics metrics, TimeProvider time, ILogger<GrpcPipeline> logger)
{
    /// <param name="members">Those of the plan, and maybe others.</param>
    /// <param name="report">See <see cref="LoadingBoard"/>.</param>
    public async Task<PipelineOpening> BuildAsync(
        PlanOutcome.Planned planned, IReadOnlyList<Member> members, Action<string, ImmutableArray<ShardProgress>> report, CancellationToken cancellation)
    {
        var plan = planned.Plan;
        var byId = members.ToDictionary(member => member.Id);
        StageWorker[] workers = [.. plan.Assignments.Select(part => new StageWorker(part, byId[part.Worker].Name))];
        var board = new LoadingBoard(workers, report);
        var stepTime = ClusterDeadlines.OfSteps(planned.Pipeline.Prediction.FullStepSeconds);
        var deadlines = options.Deadlines.Step < stepTime ? options.Deadlines with { Step = stepTime } : options.Deadlines;
        var request = new LoadRequest(plan, options.ModelPath, planned.KvBlocks, options.MaxSequenceLength, options.Engine, stepTime);
        var outcome = await loader.LoadAsync(request, [.. workers.Select(worker => (worker, byId[worker.Id].CoordinatorAddress))], board.Update, cancellation);
        return outcome switch
        {
            LoadOutcome.Loaded loaded => await GrpcPipeline.OpenAsync(
                new PipelineOptions(plan, workers, loaded.KvBlocks, options.VocabularySize, deadlines), channels, metrics, time, logger, cancellation),
            LoadOutcome.Failed failed => new PipelineOpening.Failed(failed.Failure),
            _ => throw new InvalidOperationException($"unknown outcome {outcome}"),
        };
    }
}

using System.Collections.Immutable;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Planning.Profiles;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>What an attempt at a view consists of, in order: measure, plan, build. Then the supervisor serves with what was built.</summary>
public interface IViewStages
{
    /// <summary>How fast the members' hosts reach each other, as far as that could be measured.</summary>
    Task<IReadOnlyDictionary<(string, string), Link>> MeasureAsync(IReadOnlyList<Member> members, CancellationToken cancellation);

    PlanOutcome Plan(PlanRequest request);

    /// <summary>Has the workers of a plan load their shards.</summary>
    /// <param name="members">Those of the plan, and maybe others.</param>
    /// <param name="last">The last view that served, whose workers may have KV that others need now; null: there was none.</param>
    /// <param name="report">See <see cref="LoadingBoard"/>.</param>
    Task<LoadOutcome> LoadAsync(
        PlanOutcome.Planned planned, IReadOnlyList<Member> members, ClusterPlan? last, Action<string, ImmutableArray<ShardProgress>> report,
        CancellationToken cancellation);

    /// <summary>Has a worker load its part of a plan that is not in force, for the case that it comes to be.</summary>
    /// <returns>Null when it has; else why not, in one line.</returns>
    Task<string?> PrepareAsync(PlanOutcome.Planned planned, Member member, CancellationToken cancellation);

    /// <summary>Opens the streams of steps to workers that have loaded.</summary>
    Task<PipelineOpening> OpenAsync(PlanOutcome.Planned planned, IReadOnlyList<Member> members, LoadOutcome.Loaded loaded, CancellationToken cancellation);
}

/// <summary>How an attempt at a view ended.</summary>
/// <param name="Reason">One line for people.</param>
/// <param name="WasReady">It served before it ended.</param>
/// <param name="NeedsOtherWorkers">Trying again with the same workers is of no use.</param>
sealed record ViewEnd(string Reason, bool WasReady, bool NeedsOtherWorkers)
{
    /// <summary>It ended for another view, which follows at once.</summary>
    public bool IsPlanned { get; init; }
}

/// <summary>The stages of a view on real workers.</summary>
/// <param name="replica">The replica that the views are of.</param>
public sealed class ViewStages(
    SupervisorOptions options, SettledOwnership ownership, WorkerRegistry registry, IPipelineUser replica, LinkMeter links, AssignmentCaller assignments,
    ViewAdapters adapters, IPeerConnector peers, CoordinatorMetrics metrics, Pulse pulse, TimeProvider time, ILogger<GrpcPipeline> logger) : IViewStages
{
    public Task<IReadOnlyDictionary<(string, string), Link>> MeasureAsync(IReadOnlyList<Member> members, CancellationToken cancellation)
        => links.MeasureAsync(members, cancellation);

    public PlanOutcome Plan(PlanRequest request) => ClusterPlanner.Plan(request);

    public async Task<LoadOutcome> LoadAsync(
        PlanOutcome.Planned planned, IReadOnlyList<Member> members, ClusterPlan? last, Action<string, ImmutableArray<ShardProgress>> report,
        CancellationToken cancellation)
    {
        var workers = WorkersOf(planned, members);
        var board = new LoadingBoard(workers, report);
        var moves = last is null ? KvMoves.None : await MovesAsync(last, planned.Plan);
        using var hold = options.Adapters.Hold();
        var outcome = await assignments.LoadAsync(RequestOf(planned, hold) with { Moves = moves }, workers, board.Update, cancellation);
        if (outcome is LoadOutcome.Loaded { Moved: var moved }) metrics.KvMoved(replica.Name, moved.Blocks, moved.Missing, moved.Bytes);
        return outcome is LoadOutcome.Loaded && await adapters.BeginAsync(planned.Plan.ViewVersion, workers, hold.Set.Version, cancellation) is { } failure
            ? new LoadOutcome.Failed(failure) : outcome;
    }

    public async Task<string?> PrepareAsync(PlanOutcome.Planned planned, Member member, CancellationToken cancellation)
    {
        using var hold = options.Adapters.Hold();
        return await assignments.PrepareAsync(RequestOf(planned, hold), StageWorkerOf(planned.Plan.Find(member.Id)!, member), cancellation);
    }

    public Task<PipelineOpening> OpenAsync(
        PlanOutcome.Planned planned, IReadOnlyList<Member> members, LoadOutcome.Loaded loaded, CancellationToken cancellation)
    {
        var stepTime = StepTimeOf(planned);
        var deadlines = options.Deadlines.Step < stepTime ? options.Deadlines with { Step = stepTime } : options.Deadlines;
        var pipeline = new PipelineOptions(replica.Name, planned.Plan, WorkersOf(planned, members), loaded.KvBlocks, options.VocabularySize, deadlines)
        {
            Tokenizer = options.Tokenizer,
            AdapterTokenizer = digest => options.Adapters.FindDigest(digest)?.Text?.Tokenizer,
            Kept = [.. Enumerable.Range(0, planned.Plan.StageCount).Select(stage => KeptOf(planned.Plan.Ranks(stage).ToArray(), loaded))],
        };
        return GrpcPipeline.OpenAsync(pipeline, peers, metrics, pulse, time, logger, cancellation);
    }

    /// <summary>Sequences wait for a view meanwhile, so half of their time is left for all else.</summary>
    async Task<KvMoves> MovesAsync(ClusterPlan last, ClusterPlan next) =>
        KvMoves.Between(last, next, registry.Snapshot) is { Count: > 0 } moves && await replica.FullBlocksAsync(last.ViewVersion) is { Ids.Count: > 0 } blocks
            ? new KvMoves(moves, blocks, options.Deadlines.Recovery / 2) : KvMoves.None;

    static StageKeeps KeptOf(ShardAssignment[] ranks, LoadOutcome.Loaded loaded) =>
        new(ranks[0].Shard.Layers, [.. ranks.Select(rank => loaded.Kept.GetValueOrDefault(rank.Worker))]);

    static TimeSpan StepTimeOf(PlanOutcome.Planned planned) => ClusterDeadlines.OfSteps(planned.Pipeline.Prediction.FullStepSeconds);

    /// <param name="hold">The adapters that the workers load beside their shards.</param>
    LoadRequest RequestOf(PlanOutcome.Planned planned, AdapterHold hold) => new(
        planned.Plan, options.ModelPath, planned.KvBlocks, options.MaxSequenceLength, options.Engine, StepTimeOf(planned), ownership.Value.Epoch)
    {
        Adapters = hold.Set,
        MaxAdapterRank = options.Adapters.MaxRank,
        SharesWeights = options.SharesWeights,
        MaxAdapterVocabulary = options.Adapters.MaxVocabulary,
    };

    StageWorker[] WorkersOf(PlanOutcome.Planned planned, IReadOnlyList<Member> members)
        => [.. planned.Plan.Assignments.Select(part => StageWorkerOf(part, members.First(member => member.Id == part.Worker)))];

    StageWorker StageWorkerOf(ShardAssignment part, Member member) => new(part, member.Name, member.Key) { Heard = registry.Listener(member.Id) };
}

using System.Collections.Immutable;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>
/// Brings the cluster up and keeps it up, one view after the other: waits for workers, plans, has them load, opens the pipeline, lends it
/// to the generation loop until something ends it, and begins again. Plans are adopted and statuses made here and nowhere else.
/// </summary>
public sealed partial class ClusterSupervisor(
    SupervisorOptions options, WorkerRegistry registry, LinkMeter links, ViewBuilder builder, GenerationLoop loop, Latest<ClusterStatus> status,
    Readiness readiness, CoordinatorMetrics metrics, TimeProvider time, ILogger<ClusterSupervisor> logger) : BackgroundService
{
    /// <summary>A plan that leaves room for less KV than a short conversation is none.</summary>
    const int MinKvTokens = 256;

    /// <summary>What went wrong last and is not made good yet; empty if nothing.</summary>
    string _trouble = "";

    protected override async Task ExecuteAsync(CancellationToken stopping)
    {
        try
        {
            for (var pause = options.Deadlines.FirstRetry; ; pause = Min(pause * 2, options.Deadlines.LongestRetry))
            {
                var workers = await WaitForWorkersAsync(stopping);
                var end = await RunViewAsync(workers, stopping);
                if (end.WasReady) pause = options.Deadlines.FirstRetry;
                _trouble = end.Reason;
                await WaitBeforeNextAsync(workers, end.NeedsOtherWorkers ? null : pause, stopping);
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            Report(ClusterPhase.Stopping, "the coordinator is stopping");
        }
    }

    async Task<IReadOnlyList<Member>> WaitForWorkersAsync(CancellationToken stopping)
    {
        while (true)
        {
            Member[] usable = [.. registry.Snapshot.Usable];
            if (usable.Length >= options.Workers) return usable[..options.Workers];
            Report(ClusterPhase.Waiting, $"waiting for workers: {usable.Length} of {options.Workers} are here");
            await registry.WaitAsync(now => now.Usable.Count() != usable.Length, stopping);
        }
    }

    /// <summary>One attempt: plan, load, open, serve. Whatever it made is gone when it returns.</summary>
    async Task<ViewEnd> RunViewAsync(IReadOnlyList<Member> members, CancellationToken stopping)
    {
        var measured = await links.MeasureAsync(members, stopping);
        switch (ClusterPlanner.Plan(RequestFor(members) with { Links = measured }))
        {
            case PlanOutcome.Planned planned:
                using (var over = CancellationTokenSource.CreateLinkedTokenSource(stopping))
                    try
                    {
                        LogPrediction(planned.Pipeline.Choice, 1e3 * planned.Pipeline.Prediction.OneToken.Total, planned.Pipeline.Prediction.Limit);
                        LogPlanned(planned.Plan.ViewVersion, planned.KvBlocks, string.Join("; ", planned.Plan.Assignments.Select(part => $"stage {part.Stage}: {part.Shard} on {part.Worker}")));
                        registry.Adopt(planned.Plan);
                        return await RunPlanAsync(planned, members, over);
                    }
                    finally
                    {
                        await over.CancelAsync();
                        registry.Dismiss();
                    }
            case PlanOutcome.Refused refused:
                return new ViewEnd(refused.Reason, WasReady: false, NeedsOtherWorkers: true);
            case var other:
                throw new InvalidOperationException($"unknown outcome {other}");
        }
    }

    /// <param name="over">Cancelled when the view is over.</param>
    async Task<ViewEnd> RunPlanAsync(PlanOutcome.Planned planned, IReadOnlyList<Member> members, CancellationTokenSource over)
    {
        var watch = new MemberWatch(registry, planned.Plan, over.Token);
        switch (await BuildAsync(planned, members, watch, over))
        {
            case PipelineOpening.Opened { Pipeline: var pipeline }:
                await using (pipeline) return EndOf(await ServeAsync(planned, pipeline, watch, over.Token), wasReady: true);
            case PipelineOpening.Failed { Failure: var failure }:
                return EndOf(failure, wasReady: false);
            case var other:
                throw new InvalidOperationException($"unknown opening {other}");
        }
    }

    /// <summary>Builds the pipeline; gives up as soon as one of its workers is lost.</summary>
    async Task<PipelineOpening> BuildAsync(PlanOutcome.Planned planned, IReadOnlyList<Member> members, MemberWatch watch, CancellationTokenSource over)
    {
        var building = builder.BuildAsync(planned, members, (reason, shards) => Report(ClusterPhase.Loading, reason, shards), over.Token);
        if (await Task.WhenAny(building, watch.Lost) == building) return await building;
        var failure = await watch.Lost;
        await over.CancelAsync();
        await ((Task)building).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (building is { IsCompletedSuccessfully: true, Result: PipelineOpening.Opened late }) await late.Pipeline.DisposeAsync();
        return new PipelineOpening.Failed(failure);
    }

    /// <summary>Lends the pipeline to the generation loop until it fails, a worker is lost, or one wants to leave and could.</summary>
    async Task<PipelineFailure> ServeAsync(PlanOutcome.Planned planned, GrpcPipeline pipeline, MemberWatch watch, CancellationToken stopping)
    {
        var end = new PipelineFailure(null, WorkerLost: false, "the coordinator is stopping");
        try
        {
            loop.Attach(pipeline);
            _trouble = "";
            Report(ClusterPhase.Ready, "", status.Value.Shards, planned);
            metrics.ViewReady();
            LogReady(pipeline.ViewVersion, pipeline.StageCount, pipeline.KvBlocks);
            var ended = await Task.WhenAny(pipeline.Lost, watch.Lost, watch.Leaving);
            if (ended == watch.Leaving) ended = await Task.WhenAny(pipeline.Lost, watch.Lost, DrainAsync(await watch.Leaving, stopping));
            return end = await ended;
        }
        finally
        {
            Report(stopping.IsCancellationRequested ? ClusterPhase.Stopping : ClusterPhase.Waiting, end.Message);
            pipeline.Abort(end);
            loop.Detach(pipeline, end.Message);
        }
    }

    /// <returns>The same reason, when nothing runs any more or the time for that is over.</returns>
    async Task<PipelineFailure> DrainAsync(PipelineFailure leaving, CancellationToken cancellation)
    {
        Report(ClusterPhase.Draining, leaving.Message, status.Value.Shards);
        await Task.WhenAny(loop.DrainAsync(leaving.Message), Task.Delay(options.Deadlines.Drain, time, cancellation));
        return leaving;
    }

    ViewEnd EndOf(PipelineFailure failure, bool wasReady)
    {
        if (failure is { WorkerLost: true, Worker: { } lost }) registry.MarkLost(lost, "it does not answer any more");
        return new ViewEnd(failure.Message, wasReady, NeedsOtherWorkers: false);
    }

    /// <summary>Waits until the next plan would have other workers, or for the pause, if there is one.</summary>
    async Task WaitBeforeNextAsync(IReadOnlyList<Member> workers, TimeSpan? pause, CancellationToken stopping)
    {
        bool Same(MembershipSnapshot now) => now.Usable.Take(options.Workers).Select(member => member.Id).SequenceEqual(workers.Select(worker => worker.Id));
        if (!Same(registry.Snapshot)) return;
        Report(ClusterPhase.Waiting, pause is { } length ? $"trying again in {length.TotalSeconds:0.#} s" : "waiting for other workers");
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        var changed = registry.WaitAsync(now => !Same(now), enough.Token);
        await Task.WhenAny(changed, Task.Delay(pause ?? Timeout.InfiniteTimeSpan, time, enough.Token));
        await enough.CancelAsync();
        stopping.ThrowIfCancellationRequested();
    }

    PlanRequest RequestFor(IReadOnlyList<Member> members)
    {
        // Above what the workers know of, too: they may have served a coordinator before this one.
        var view = Math.Max(registry.Snapshot.ViewVersion, members.Max(member => member.ViewVersion)) + 1;
        // By name, not as they came: who is started again gets the layers again that it had, and may still hold.
        CandidateWorker[] workers = [.. members.OrderBy(member => member.Name, StringComparer.Ordinal).Select(member => member.ToCandidate())];
        var leastKv = Math.Min(options.KvBlocks, KvBlock.CountFor(MinKvTokens));
        return new PlanRequest(
            view, options.Model, options.Footprint, workers, options.TensorParallel, options.BufferBytes, options.KvBlocks, leastKv)
        {
            Context = options.MaxSequenceLength,
            Objective = options.Objective,
            Streams = options.Streams,
        };
    }

    void Report(ClusterPhase phase, string reason, ImmutableArray<ShardProgress>? shards = null, PlanOutcome.Planned? plan = null)
    {
        var before = status.Value.Phase;
        var full = _trouble.Length == 0 || reason.Length == 0 ? reason : $"{_trouble}; {reason}";
        status.Update(_ => new ClusterStatus(phase, registry.Snapshot.ViewVersion, full, shards ?? []) { Trouble = _trouble, Plan = plan });
        readiness.Set(phase == ClusterPhase.Ready);
        if (full.Length > 0 && (phase != before || phase == ClusterPhase.Waiting)) LogStatus(phase, full);
    }

    static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}

using System.Collections.Immutable;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Profiles;
using LlamaCluster.Primitives;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>
/// Brings the cluster up and keeps it up, one view after the other: waits for workers, measures, plans, has the workers load, opens the
/// pipeline, attaches it to the replica until something ends it, and begins again. An attempt that throws is a failed attempt: it is logged
/// and tried again after a pause, and never ends the coordinator. Plans are adopted and statuses made here and nowhere else.
/// </summary>
public sealed partial class ClusterSupervisor(
    SupervisorOptions options, WorkerRegistry registry, IViewStages stages, Replica replica, Latest<ClusterStatus> status,
    Readiness readiness, CoordinatorMetrics metrics, TimeProvider time, ILogger<ClusterSupervisor> logger) : BackgroundService
{
    /// <summary>A plan that leaves room for less KV than a short conversation is none.</summary>
    const int MinKvTokens = 256;

    /// <summary>What went wrong last and is not made good yet; empty if nothing.</summary>
    string _trouble = "";

    /// <summary>The trouble stays for as long as these workers are the only ones.</summary>
    bool _needsOtherWorkers;

    protected override async Task ExecuteAsync(CancellationToken stopping)
    {
        try
        {
            for (var pause = options.Deadlines.FirstRetry; ; pause = Min(pause * 2, options.Deadlines.LongestRetry))
            {
                var workers = await WaitForWorkersAsync(stopping);
                var end = await TryViewAsync(workers, stopping);
                if (end.WasReady) pause = options.Deadlines.FirstRetry;
                (_trouble, _needsOtherWorkers) = (end.Reason, end.NeedsOtherWorkers);
                await WaitBeforeNextAsync(workers, end.NeedsOtherWorkers ? null : pause, stopping);
                if (end.NeedsOtherWorkers) _trouble = "";   // there are other workers now
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
            var unreachable = registry.Snapshot.Unreachable;
            Report(ClusterPhase.Waiting, string.Join("; ", [$"waiting for workers: {usable.Length} of {options.Workers} are here", .. unreachable.Select(worker => worker.ToString())]));
            await registry.WaitAsync(now => now.Usable.Count() != usable.Length || now.Unreachable != unreachable, stopping);
        }
    }

    /// <summary>One attempt. Whatever goes wrong in it, the next one is made.</summary>
    async Task<ViewEnd> TryViewAsync(IReadOnlyList<Member> members, CancellationToken stopping)
    {
        try
        {
            return await RunViewAsync(members, stopping);
        }
        catch (Exception e) when (e is not OperationCanceledException || !stopping.IsCancellationRequested)
        {
            LogBroke(e);
            var reason = $"the attempt at a view failed ({e.GetType().Name}); the coordinator's log says more";
            return new ViewEnd(reason, WasReady: false, NeedsOtherWorkers: false);
        }
    }

    /// <summary>Measures, plans, builds and serves. Whatever it made is gone when it returns.</summary>
    async Task<ViewEnd> RunViewAsync(IReadOnlyList<Member> members, CancellationToken stopping)
    {
        var measured = await stages.MeasureAsync(members, stopping);
        switch (stages.Plan(RequestFor(members) with { Links = measured }))
        {
            case PlanOutcome.Planned planned:
                using (var over = CancellationTokenSource.CreateLinkedTokenSource(stopping))
                    try
                    {
                        LogPrediction(planned.Pipeline.Choice, 1e3 * planned.Pipeline.Prediction.OneToken.Total, planned.Pipeline.Prediction.Limit);
                        var parts = planned.Plan.Assignments.Select(part => $"stage {part.Stage}: {part.Shard} on {part.Worker}");
                        LogPlanned(planned.Plan.ViewVersion, planned.KvBlocks, string.Join("; ", parts));
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
        var building = LoadAndOpenAsync(planned, members, over.Token);
        if (await Task.WhenAny(building, watch.Lost) == building) return await building;
        var failure = await watch.Lost;
        await over.CancelAsync();
        await ((Task)building).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (building is { IsCompletedSuccessfully: true, Result: PipelineOpening.Opened late }) await late.Pipeline.DisposeAsync();
        return new PipelineOpening.Failed(failure);
    }

    async Task<PipelineOpening> LoadAndOpenAsync(PlanOutcome.Planned planned, IReadOnlyList<Member> members, CancellationToken cancellation)
        => await stages.LoadAsync(planned, members, (reason, shards) => Report(ClusterPhase.Loading, reason, shards), cancellation) switch
        {
            LoadOutcome.Loaded loaded => await stages.OpenAsync(planned, members, loaded.KvBlocks, cancellation),
            LoadOutcome.Failed failed => new PipelineOpening.Failed(failed.Failure),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };

    /// <summary>Attaches the pipeline to the replica until it fails, a worker is lost, or one wants to leave and could.</summary>
    async Task<PipelineFailure> ServeAsync(PlanOutcome.Planned planned, IPipeline pipeline, MemberWatch watch, CancellationToken stopping)
    {
        var end = new PipelineFailure(null, WorkerLost: false, "the coordinator is stopping");
        try
        {
            replica.Attach(pipeline);
            (_trouble, _needsOtherWorkers) = ("", false);
            Report(ClusterPhase.Ready, "", status.Value.Shards, planned, pipeline.KvBlocks * KvBlock.Positions);
            metrics.ViewReady(replica.Name);
            LogReady(pipeline.ViewVersion, pipeline.StageCount, pipeline.KvBlocks);
            var ended = await Task.WhenAny(pipeline.Lost, watch.Lost, watch.Leaving);
            if (ended == watch.Leaving) ended = await Task.WhenAny(pipeline.Lost, watch.Lost, DrainAsync(await watch.Leaving, stopping));
            return end = await ended;
        }
        finally
        {
            Report(stopping.IsCancellationRequested ? ClusterPhase.Stopping : ClusterPhase.Waiting, end.Message);
            pipeline.Abort(end);
            replica.Detach(pipeline, end.Message);
        }
    }

    /// <returns>The same reason, when nothing runs any more or the time for that is over.</returns>
    async Task<PipelineFailure> DrainAsync(PipelineFailure leaving, CancellationToken cancellation)
    {
        Report(ClusterPhase.Draining, leaving.Message, status.Value.Shards);
        await Task.WhenAny(replica.DrainAsync(leaving.Message), Task.Delay(options.Deadlines.Drain, time, cancellation));
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
        var view = registry.Snapshot.ViewVersion + 1;
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

    void Report(ClusterPhase phase, string reason, ImmutableArray<ShardProgress>? shards = null, PlanOutcome.Planned? plan = null, int? positions = null)
    {
        var before = status.Value.Phase;
        var full = _trouble.Length == 0 || reason.Length == 0 ? reason : $"{_trouble}; {reason}";
        status.Update(_ => new ClusterStatus(phase, registry.Snapshot.ViewVersion, full, shards ?? [])
        {
            Trouble = _trouble,
            NeedsOtherWorkers = _needsOtherWorkers,
            Plan = plan,
        });
        replica.Status = new EngineStatus(phase == ClusterPhase.Ready, full, registry.Snapshot.ViewVersion) { MaxPositions = positions };
        readiness.Set(phase == ClusterPhase.Ready);
        if (full.Length > 0 && (phase != before || phase == ClusterPhase.Waiting)) LogStatus(phase, full);
    }

    static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    [LoggerMessage(Level = LogLevel.Information, Message = "{Phase}: {Reason}")]
    partial void LogStatus(ClusterPhase phase, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} is planned, {KvBlocks} KV blocks: {Stages}")]
    partial void LogPlanned(ulong viewVersion, int kvBlocks, string stages);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Choice}; predicted {Milliseconds:0.00} ms for a token of one stream, limited by {Limit}")]
    partial void LogPrediction(string choice, double milliseconds, string limit);

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} is ready: {Stages} stages, {KvBlocks} KV blocks")]
    partial void LogReady(ulong viewVersion, int stages, int kvBlocks);

    [LoggerMessage(Level = LogLevel.Error, Message = "The attempt at a view failed with an exception; the next one follows")]
    partial void LogBroke(Exception exception);
}

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
/// <para>
/// After a view that served, sequences wait for the next one. So whoever is left takes over at once: spare workers in the places of those that are
/// gone (<see cref="Takeover"/>), else those that are left by another plan. When others come, the view grows again (<see cref="Succession"/>).
/// </para>
/// </summary>
public sealed partial class ClusterSupervisor(
    SupervisorOptions options, WorkerRegistry registry, IViewStages stages, IPipelineUser replica, Latest<ClusterStatus> status, ViewLog views,
    Readiness readiness, CoordinatorMetrics metrics, TimeProvider time, ILogger<ClusterSupervisor> logger) : BackgroundService
{
    readonly ViewChooser _chooser = new(options, registry, stages);
    readonly RepeatedFailures _failures = new(time);

    /// <summary>The last view that served; null: none has.</summary>
    ServedView? _last;

    /// <summary>What went wrong last and is not made good yet; empty if nothing.</summary>
    string _trouble = "";

    /// <summary>The trouble stays for as long as these workers are the only ones: so many.</summary>
    int? _tooFew;

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => RunAsync(stoppingToken);

    /// <summary>
    /// Supervises until it is cancelled. Everything it does it does where it was called from: in its synchronisation context, if there is one.
    /// </summary>
    internal async Task RunAsync(CancellationToken stopping)
    {
        try
        {
            var waitingSince = time.GetTimestamp();
            for (var pause = options.Deadlines.FirstRetry; ; pause = Min(pause * 2, options.Deadlines.LongestRetry))
            {
                var candidates = await WaitForWorkersAsync(waitingSince, stopping);
                var end = await TryViewAsync(candidates, stopping);
                views.End(end);
                if (end.WasReady) (pause, waitingSince) = (options.Deadlines.FirstRetry, time.GetTimestamp());
                (_trouble, _tooFew) = (end.Reason, end.NeedsOtherWorkers ? candidates.Members.Count : null);
                if (!end.IsPlanned) await WaitBeforeNextAsync(candidates, end.NeedsOtherWorkers ? null : pause, stopping);
                if (end.NeedsOtherWorkers) _trouble = "";   // there are other workers now
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            Report(ClusterPhase.Stopping, "the coordinator is stopping");
        }
    }

    /// <summary>
    /// Waits until there are workers for a view: all that are wanted, or fewer once the time for that is over. Where some are left of a view that served,
    /// nobody waits: they are what its sequences wait for.
    /// </summary>
    /// <param name="since">When the waiting began, as a timestamp.</param>
    async Task<ViewCandidates> WaitForWorkersAsync(long since, CancellationToken stopping)
    {
        while (true)
        {
            var now = registry.Snapshot;
            // Sequences that wait for a view must not have waited in vain.
            var patience = _last is null ? options.Deadlines.WaitForWorkers : Min(options.Deadlines.WaitForWorkers, options.Deadlines.Recovery / 2);
            var left = _last is not null && now.Usable.Any(member => _last.Plan.Find(member.Id) is not null)
                ? TimeSpan.Zero
                : patience - time.GetElapsedTime(since);
            if (_chooser.Choose(now, _last, mayBeFewer: left <= TimeSpan.Zero) is { } candidates) return candidates;
            registry.LetGo();
            var waiting = $"waiting for workers: {now.Usable.Count()} of {options.Workers} are here";
            Report(ClusterPhase.Waiting, string.Join("; ", [waiting, .. now.Unreachable.Select(worker => worker.ToString())]));
            using var enough = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            await Task.WhenAny(
                registry.WaitAsync(later => !later.HasUsable(now.Usable) || later.Unreachable != now.Unreachable, enough.Token),
                time.DelayAsync(left > TimeSpan.Zero ? left : Timeout.InfiniteTimeSpan, enough.Token));
            enough.Cancel();
            stopping.ThrowIfCancellationRequested();
        }
    }

    /// <summary>One attempt. Whatever goes wrong in it, the next one is made.</summary>
    async Task<ViewEnd> TryViewAsync(ViewCandidates candidates, CancellationToken stopping)
    {
        try
        {
            return await RunViewAsync(candidates, stopping);
        }
        catch (Exception e) when (e is not OperationCanceledException || !stopping.IsCancellationRequested)
        {
            LogBroke(e);
            var reason = $"the attempt at a view failed ({e.GetType().Name}); the coordinator's log says more";
            return new ViewEnd(reason, WasReady: false, NeedsOtherWorkers: false);
        }
    }

    /// <summary>Measures, plans, builds and serves. Whatever it made is gone when it returns.</summary>
    async Task<ViewEnd> RunViewAsync(ViewCandidates candidates, CancellationToken stopping)
    {
        switch (candidates.Plan ?? await PlanAsync(candidates.Members, stopping))
        {
            case PlanOutcome.Planned planned:
                using (var over = CancellationTokenSource.CreateLinkedTokenSource(stopping))
                    try
                    {
                        LogPrediction(planned.Pipeline.Choice, 1e3 * planned.Pipeline.Prediction.OneToken.Total, planned.Pipeline.Prediction.Limit);
                        var parts = planned.Plan.Assignments.Select(part => $"stage {part.Stage}: {part.Shard} on {part.Worker}");
                        LogPlanned(planned.Plan.ViewVersion, planned.KvBlocks, string.Join("; ", parts));
                        registry.Adopt(planned.Plan);
                        views.Begin(planned);
                        return await RunPlanAsync(planned, candidates.Members, over);
                    }
                    finally
                    {
                        over.Cancel();
                        registry.Dismiss();
                    }
            case PlanOutcome.Refused refused:
                registry.LetGo();
                return new ViewEnd(refused.Reason, WasReady: false, NeedsOtherWorkers: true);
            case var other:
                throw new InvalidOperationException($"unknown outcome {other}");
        }
    }

    async Task<PlanOutcome> PlanAsync(IReadOnlyList<Member> members, CancellationToken stopping)
    {
        var measured = await stages.MeasureAsync(members, stopping);
        return stages.Plan(_chooser.RequestFor(members) with { Links = measured });
    }

    /// <param name="over">Cancelled when the view is over.</param>
    async Task<ViewEnd> RunPlanAsync(PlanOutcome.Planned planned, IReadOnlyList<Member> members, CancellationTokenSource over)
    {
        var watch = new MemberWatch(registry, planned.Plan, over.Token);
        switch (await BuildAsync(planned, members, watch, over))
        {
            case PipelineOpening.Opened { Pipeline: var pipeline }:
                await using (pipeline) return EndOf(await ServeAsync(planned, members, pipeline, watch, over.Token), planned, wasReady: true);
            case PipelineOpening.Failed { Failure: var failure }:
                return EndOf(failure, planned, wasReady: false);
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
        over.Cancel();
        await ((Task)building).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        if (building is { IsCompletedSuccessfully: true, Result: PipelineOpening.Opened late }) await late.Pipeline.DisposeAsync();
        return new PipelineOpening.Failed(failure);
    }

    async Task<PipelineOpening> LoadAndOpenAsync(PlanOutcome.Planned planned, IReadOnlyList<Member> members, CancellationToken cancellation)
        => await stages.LoadAsync(planned, members, _last?.Plan, (reason, shards) => Report(ClusterPhase.Loading, reason, shards), cancellation) switch
        {
            LoadOutcome.Loaded loaded => await stages.OpenAsync(planned, members, loaded, cancellation),
            LoadOutcome.Failed failed => new PipelineOpening.Failed(failed.Failure),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };

    /// <summary>Attaches the pipeline to the replica until it fails, a worker is lost, or another view is better.</summary>
    async Task<PipelineFailure> ServeAsync(
        PlanOutcome.Planned planned, IReadOnlyList<Member> members, IPipeline pipeline, MemberWatch watch, CancellationToken stopping)
    {
        var end = new PipelineFailure(null, WorkerLost: false, "the coordinator is stopping") { IsPlanned = true };
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        Task[] watching = [];
        try
        {
            replica.Attach(pipeline);
            registry.Serves();
            var view = _last = new ServedView(planned, members);
            var (shards, positions) = (status.Value.Shards, pipeline.KvBlocks * KvBlock.Positions);
            (_trouble, _tooFew) = ("", null);
            void ReportReady() => Report(ClusterPhase.Ready, "", shards, planned, positions);
            views.Serves();
            ReportReady();
            _failures.Loaded();
            metrics.ViewReady(replica.Name);
            LogReady(pipeline.ViewVersion, pipeline.StageCount, pipeline.KvBlocks);
            var standby = new Standby(options, registry, _chooser, stages, view, logger);
            var succession = new Succession(options, registry, _chooser, standby, replica, view, time, logger);
            var better = succession.WaitAsync(ReportReady, reason => Report(ClusterPhase.Draining, reason, shards), over.Token);
            watching = [standby.RunAsync(over.Token), better];
            return end = await await Task.WhenAny(LossOf(pipeline), watch.Lost, better);
        }
        finally
        {
            Report(stopping.IsCancellationRequested ? ClusterPhase.Stopping : ClusterPhase.Waiting, end.Message);
            pipeline.Abort(end);
            replica.Detach(pipeline, end);
            over.Cancel();
            await Task.WhenAll(watching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        }
    }

    /// <summary>A task of this method's own, since those who wait for one of several go on at once with it.</summary>
    static async Task<PipelineFailure> LossOf(IPipeline pipeline) => await pipeline.Lost;

    ViewEnd EndOf(PipelineFailure failure, PlanOutcome.Planned planned, bool wasReady)
    {
        if (failure is { WorkerLost: true, Worker: { } lost }) registry.MarkLost(lost, "it does not answer any more");
        if ((!wasReady || failure.IsStepError) && _failures.Add(failure, planned.Plan) is { } reason) registry.SetAside(failure.Worker!.Value, reason);
        var end = new ViewEnd(failure.Message, wasReady, NeedsOtherWorkers: false) { IsPlanned = failure.IsPlanned };
        views.End(end);   // before the pipeline is taken down, which takes time
        return end;
    }

    /// <summary>Waits until there are other workers, or for the pause, if there is one.</summary>
    async Task WaitBeforeNextAsync(ViewCandidates candidates, TimeSpan? pause, CancellationToken stopping)
    {
        if (!registry.Snapshot.HasUsable(candidates.Usable)) return;
        Report(ClusterPhase.Waiting, pause is { } length ? $"trying again in {length.TotalSeconds:0.#} s" : "waiting for other workers");
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        var changed = registry.WaitAsync(now => !now.HasUsable(candidates.Usable), enough.Token);
        await Task.WhenAny(changed, time.DelayAsync(pause ?? Timeout.InfiniteTimeSpan, enough.Token));
        enough.Cancel();
        stopping.ThrowIfCancellationRequested();
    }

    void Report(ClusterPhase phase, string reason, ImmutableArray<ShardProgress>? shards = null, PlanOutcome.Planned? plan = null, int? positions = null)
    {
        var before = status.Value.Phase;
        var full = _trouble.Length == 0 || reason.Length == 0 ? reason : $"{_trouble}; {reason}";
        var workers = registry.Snapshot.Count(options.Workers);
        status.Update(_ => new ClusterStatus(phase, registry.Snapshot.ViewVersion, full, shards ?? [])
        {
            Trouble = _trouble,
            TooFewWorkers = _tooFew,
            Plan = plan,
            Workers = workers,
        });
        replica.Status = new EngineStatus(phase == ClusterPhase.Ready, full, registry.Snapshot.ViewVersion)
        {
            MaxPositions = positions,
            Workers = workers,
        };
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

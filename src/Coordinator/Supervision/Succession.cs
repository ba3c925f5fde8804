using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Costs;
using LlamaCluster.Primitives;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>
/// Tells when a view that serves should give way to another one: a worker wants to leave or is suspected, and others can go on; or fewer workers
/// serve than are wanted, others have come, and what they gain is worth what running sequences wait for it.
/// </summary>
sealed partial class Succession(
    SupervisorOptions options, WorkerRegistry registry, ViewChooser chooser, Standby standby, IPipelineUser replica, ServedView view,
    TimeProvider time, ILogger logger)
{
    /// <summary>How often it is asked again whether more workers pay: it depends on what runs.</summary>
    static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(2);

    /// <summary>What sequences wait must be made good within this time.</summary>
    static readonly TimeSpan Horizon = TimeSpan.FromMinutes(1);

    /// <param name="changed">Called whenever workers have come, gone or changed.</param>
    /// <param name="draining">
    /// Called instead, while the view waits for its sequences to end, because a worker is leaving that nobody can take over from.
    /// </param>
    /// <returns>Why the view should end.</returns>
    public async Task<PipelineFailure> WaitAsync(Action changed, Action<string> draining, CancellationToken cancellation)
    {
        Task? drained = null;
        while (true)
        {
            var now = registry.Snapshot;
            if (drained is null) changed();   // a view that drains is not ready, whatever changes
            if (First(now, member => member.State == MemberState.Draining) is { } leaving)
            {
                var reason = new PipelineFailure(leaving.Id, WorkerLost: false, $"{leaving} is leaving") { IsPlanned = true };
                if (drained is { IsCompleted: true } || chooser.CanGoOn(now, view)) return reason;
                draining(reason.Message);
                drained ??= Task.WhenAny(replica.DrainAsync(reason.Message), time.DelayAsync(options.Deadlines.Drain, cancellation));
            }
            if (First(now, member => member.IsSuspected) is { } suspect && chooser.CanGoOn(now, view))
                return new PipelineFailure(suspect.Id, WorkerLost: false, $"{suspect} is suspected: it is silent for longer than usual") { IsPlanned = true };
            var state = standby.State.Value;
            if (state.Grown is { } grown && IsReadyFor(grown, state, now) && await PaysAsync(grown))
                return new PipelineFailure(
                    null, WorkerLost: false, $"{grown.Plan.Assignments.Count} workers take over from {view.Plan.Assignments.Count}")
                { IsPlanned = true };
            await ChangeAsync(now, state, drained, cancellation);
        }
    }

    Member? First(MembershipSnapshot now, Func<Member, bool> condition) =>
        view.Plan.Assignments.Select(part => now.FindPresent(part.Worker)).FirstOrDefault(member => member is not null && condition(member));

    /// <summary>All of the plan's workers are here, and those that are new to it have loaded their parts.</summary>
    bool IsReadyFor(PlanOutcome.Planned grown, StandbyState state, MembershipSnapshot now)
    {
        var usable = now.Usable.Select(member => member.Id).ToHashSet();
        return grown.Plan.Assignments.All(part =>
            usable.Contains(part.Worker) && (view.Plan.Find(part.Worker) is not null || state.Ready.Contains(part.Worker)));
    }

    async Task<bool> PaysAsync(PlanOutcome.Planned grown)
    {
        var load = await replica.CountAsync();
        var (before, after) = (RateOf(view.Planned), RateOf(grown));
        var cost = 1 + (MovingSeconds(grown, load.Tokens) ?? load.Tokens * grown.Pipeline.Prediction.FullStepSeconds / options.Engine.MaxStepRows);
        var pays = load.Sequences == 0 || (1 - before / after) * Horizon.TotalSeconds >= cost;
        if (pays) LogGrows(grown.Plan.Assignments.Count, view.Plan.Assignments.Count, after, before, load.Sequences, load.Tokens, cost);
        return pays;
    }

    /// <summary>How long KV of layers that move is under way, over the slowest link and one worker after the other.</summary>
    /// <returns>Null if some of it cannot be had, so that it is computed again.</returns>
    double? MovingSeconds(PlanOutcome.Planned grown, long tokens)
    {
        if (grown.Plan.Assignments.Any(part => view.Plan.Assignments.All(old => old.Shard.Slice != part.Shard.Slice))) return null;
        var (cluster, model) = (grown.Problem.Cluster, grown.Problem.Model);
        var blockBytes = KvMoves.Between(view.Plan, grown.Plan, registry.Snapshot)
            .Sum(move => model.Layers.Skip(move.Layers.First).Take(move.Layers.Count).Sum(model.KvBlockBytesOf));
        var slowest = Enumerable.Range(1, cluster.Workers.Count - 1)
            .Select(worker => cluster.Between(0, worker).BytesPerSecond)
            .DefaultIfEmpty(double.PositiveInfinity)
            .Min();
        return tokens * blockBytes / KvBlock.Positions / slowest;
    }

    /// <summary>Predicted tokens per second, of one stream or of many as the plan's objective says.</summary>
    double RateOf(PlanOutcome.Planned planned)
    {
        var prediction = planned.Pipeline.Prediction;
        return options.Objective == PlanObjective.Latency || prediction.Streams.Count == 0 ? 1 / prediction.OneToken.Total
            : prediction.Streams.MaxBy(streams => streams.Streams)!.TokensPerSecond;
    }

    async Task ChangeAsync(MembershipSnapshot now, StandbyState state, Task? drained, CancellationToken cancellation)
    {
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        await Task.WhenAny(
            registry.WaitAsync(later => !ReferenceEquals(later, now), enough.Token),
            standby.State.WaitAsync(later => !ReferenceEquals(later, state), enough.Token),
            drained ?? time.DelayAsync(state.Grown is null ? Timeout.InfiniteTimeSpan : LookAgain, enough.Token));
        enough.Cancel();
        cancellation.ThrowIfCancellationRequested();
    }

    [LoggerMessage(Level = LogLevel.Information, Message =
        "{After} workers are to take over from {Before}: {RateAfter:0.0} tokens/s predicted instead of {RateBefore:0.0}; "
        + "{Sequences} sequences of {Tokens} tokens wait for that for about {Seconds:0.0} s")]
    partial void LogGrows(int after, int before, double rateAfter, double rateBefore, int sequences, long tokens, double seconds);
}

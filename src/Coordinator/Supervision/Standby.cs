using System.Collections.Immutable;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Planning;
using LlamaCluster.Planning.Plans;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>What workers that no view has are ready for.</summary>
/// <param name="Grown">A plan for more workers than the view has, where fewer than wanted serve and others have come.</param>
/// <param name="Ready">The workers that have loaded what they may come to need, or cannot.</param>
sealed record StandbyState(PlanOutcome.Planned? Grown, ImmutableHashSet<WorkerId> Ready)
{
    public static StandbyState Empty { get; } = new(null, []);
}

/// <summary>
/// Has workers that no view has load weights that they may come to need, while a view serves. Where fewer workers serve than are wanted, newcomers
/// get their part of a larger plan. Else each spare gets the part of a worker that is likely to be lost: of one that was lost before, else of the one
/// with the most weights, whose loss would take longest to make good. Lives as long as the view.
/// </summary>
sealed partial class Standby(SupervisorOptions options, WorkerRegistry registry, ViewChooser chooser, IViewStages stages, ServedView view, ILogger logger)
{
    public Latest<StandbyState> State { get; } = new(StandbyState.Empty);

    public async Task RunAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            var now = registry.Snapshot;
            try
            {
                await PrepareAllAsync(now, cancellation);
            }
            catch (Exception e) when (e is not OperationCanceledException || !cancellation.IsCancellationRequested)
            {
                LogBroke(e);
            }
            await registry.WaitAsync(later => !SparesOf(later).Select(spare => spare.Id).SequenceEqual(SparesOf(now).Select(spare => spare.Id)), cancellation);
        }
    }

    IEnumerable<Member> SparesOf(MembershipSnapshot now) => now.Usable.Where(member => view.Plan.Find(member.Id) is null && member.SetAside.Length == 0);

    async Task PrepareAllAsync(MembershipSnapshot now, CancellationToken cancellation)
    {
        Member[] spares = [.. SparesOf(now)];
        var grown = await GrownAsync(now, cancellation);
        Change(state => new StandbyState(grown, state.Grown == grown ? state.Ready.Intersect(spares.Select(spare => spare.Id)) : []));
        foreach (var spare in spares)
        {
            if (State.Value.Ready.Contains(spare.Id)) continue;
            if (PlanFor(spare, Array.IndexOf(spares, spare), grown) is { } plan && plan.Plan.Find(spare.Id) is { } part)
            {
                var problem = await stages.PrepareAsync(plan, spare, cancellation);
                if (problem is null) LogPrepared(spare, part.Shard);
                else LogNotPrepared(spare, part.Shard, problem);
            }
            Change(state => state with { Ready = state.Ready.Add(spare.Id) });
        }
    }

    void Change(Func<StandbyState, StandbyState> change)
    {
        State.Update(change);
        registry.StandBy(State.Value.Ready);
    }

    /// <summary>The plan for as many workers as are here, up to those wanted; null if that is no more than serve.</summary>
    async Task<PlanOutcome.Planned?> GrownAsync(MembershipSnapshot now, CancellationToken cancellation)
    {
        if (Math.Min(now.Usable.Count(), options.Workers) <= view.Members.Count) return null;
        if (chooser.Choose(now, view, mayBeFewer: true) is not { Plan: null } candidates) return null;
        var links = await stages.MeasureAsync(candidates.Members, cancellation);
        // Some of them may be set aside, or of no use: then the plan is no larger, and a view of it would only be followed by the next one of its like.
        return stages.Plan(chooser.RequestFor(candidates.Members) with { Links = links }) is PlanOutcome.Planned planned
            && planned.Plan.Assignments.Count > view.Plan.Assignments.Count ? planned : null;
    }

    PlanOutcome.Planned? PlanFor(Member spare, int index, PlanOutcome.Planned? grown)
    {
        if (grown?.Plan.Find(spare.Id) is not null) return grown;
        var losses = registry.Snapshot.Members.Where(member => member.IsLost).Select(member => member.Name).ToList();
        var stagesOfPlan = view.Planned.Pipeline.Prediction.Stages;
        return view.Plan.Assignments
            .OrderByDescending(part => losses.Count(name => name == view.NameOf(part.Worker)))
            .ThenByDescending(part => stagesOfPlan[part.Stage].Memory[part.Shard.Slice.Rank].Weights)
            .Select(part => Takeover.Of(view, part, spare))
            .Where(plan => plan is not null)
            .Skip(index % view.Plan.Assignments.Count)
            .FirstOrDefault();
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Spare} is spare, and has loaded {Shard}")]
    partial void LogPrepared(Member spare, Shard shard);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Spare} is spare; it could not load {Shard} ahead: {Problem}")]
    partial void LogNotPrepared(Member spare, Shard shard, string problem);

    [LoggerMessage(Level = LogLevel.Error, Message = "Preparing spare workers failed; that is tried again when workers come or go")]
    partial void LogBroke(Exception exception);
}

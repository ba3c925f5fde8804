using System.Collections.Immutable;
using LlamaCluster.Planning;

namespace LlamaCluster.Coordinator.Supervision;

/// <summary>One view, from its planning to its end.</summary>
/// <param name="Choice">The planner's own line on why this plan.</param>
public sealed record ViewRecord(ulong Version, int Stages, int Workers, int KvBlocks, string Choice, DateTimeOffset Began)
{
    /// <summary>When it began to serve; null: it has not.</summary>
    public DateTimeOffset? Ready { get; init; }

    public DateTimeOffset? Ended { get; init; }

    /// <summary>Why it ended, in one line; empty while it has not.</summary>
    public string End { get; init; } = "";

    /// <summary>It ended for another view; nothing broke.</summary>
    public bool EndIsPlanned { get; init; }
}

/// <summary>The last views of a replica. Immutable.</summary>
/// <param name="Views">Oldest first.</param>
/// <param name="LastPlan">Of the newest one; null: there was none.</param>
public sealed record ViewHistory(ImmutableArray<ViewRecord> Views, PlanOutcome.Planned? LastPlan);

/// <summary>Remembers the last few views and why each ended. Only the supervisor writes; anybody may read at any time.</summary>
public sealed class ViewLog(TimeProvider time)
{
    public const int Kept = 24;

    volatile ViewHistory _history = new([], null);

    public ViewHistory History => _history;

    internal void Begin(PlanOutcome.Planned planned)
    {
        var plan = planned.Plan;
        var view = new ViewRecord(plan.ViewVersion, plan.StageCount, plan.Assignments.Count, planned.KvBlocks, planned.Pipeline.Choice, time.GetUtcNow());
        _history = new ViewHistory([.. _history.Views.TakeLast(Kept - 1), view], planned);
    }

    internal void Serves() => ChangeNewest(view => view with { Ready = time.GetUtcNow() });

    /// <summary>The newest view is over; does nothing if it was before.</summary>
    internal void End(ViewEnd end) => ChangeNewest(view => view with { Ended = time.GetUtcNow(), End = end.Reason, EndIsPlanned = end.IsPlanned });

    void ChangeNewest(Func<ViewRecord, ViewRecord> change)
    {
        if (_history.Views is [.., { Ended: null } newest] views) _history = _history with { Views = views.SetItem(views.Length - 1, change(newest)) };
    }
}

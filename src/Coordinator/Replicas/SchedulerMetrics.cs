using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>Reads a scheduler's numbers out for the metrics, which do not know schedulers.</summary>
static class SchedulerMetrics
{
    public static void StepReturned(this CoordinatorMetrics metrics, string replica, ScheduledStep step) => metrics.StepReturned(replica, step.Rows);

    /// <param name="scheduler">Null while no view is ready.</param>
    public static void Observe(this CoordinatorMetrics metrics, string replica, StepScheduler? scheduler) =>
        metrics.Observe(replica, scheduler is null ? null : new SchedulerReadout
        {
            Waiting = scheduler.WaitingCount,
            Running = scheduler.RunningCount,
            BlocksHeld = scheduler.Pool.Held,
            BlocksCached = scheduler.Pool.Cached,
            BlocksFree = scheduler.Pool.Free,
            Preemptions = scheduler.Preemptions,
            QueriedTokens = scheduler.QueriedTokens,
            HitTokens = scheduler.HitTokens,
            GrammarDrafts = DraftsOf(scheduler, DraftSource.Grammar),
            NgramDrafts = DraftsOf(scheduler, DraftSource.Ngram),
            ModelDrafts = DraftsOf(scheduler, DraftSource.Model),
            PositionsKept = scheduler.Carried.Kept,
            PositionsFilled = scheduler.Carried.Filled,
            PositionsComputed = scheduler.Carried.Computed,
            Sessions = scheduler.SessionCount,
            BlocksOnDisk = scheduler.Disk?.Count ?? 0,
            BlocksRestoring = scheduler.Disk?.Restoring ?? 0,
            BlocksSpilled = scheduler.Disk?.Spilled ?? 0,
            BlocksRestored = scheduler.Disk?.Restored ?? 0,
        });

    static DraftReadout DraftsOf(StepScheduler scheduler, DraftSource source) =>
        new(scheduler.Drafted.Drafts(source), scheduler.Drafted.Tokens(source), scheduler.Drafted.Accepted(source));

    /// <summary>How a sequence that ended by itself ended.</summary>
    public static string OutcomeOf(SequenceAdvance ended) => ended switch
    {
        { Failure: not null } => SequenceOutcome.Failed,
        { Finished: FinishReason.Stop } => SequenceOutcome.Stop,
        _ => SequenceOutcome.Length,
    };
}

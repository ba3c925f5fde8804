using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>Reads a scheduler's numbers out for the metrics, which do not know schedulers.</summary>
static class SchedulerMetrics
{
    public static void StepReturned(this CoordinatorMetrics metrics, ScheduledStep step) => metrics.StepReturned(step.Rows);

    /// <param name="scheduler">Null while no view is ready.</param>
    public static void Observe(this CoordinatorMetrics metrics, StepScheduler? scheduler) => metrics.Observe(scheduler is null ? null : new SchedulerReadout
    {
        Waiting = scheduler.WaitingCount,
        Running = scheduler.RunningCount,
        BlocksHeld = scheduler.Pool.Held,
        BlocksCached = scheduler.Pool.Cached,
        BlocksFree = scheduler.Pool.Free,
        Preemptions = scheduler.Preemptions,
        QueriedTokens = scheduler.QueriedTokens,
        HitTokens = scheduler.HitTokens,
        DraftedTokens = scheduler.DraftedTokens,
        AcceptedTokens = scheduler.AcceptedTokens,
    });
}

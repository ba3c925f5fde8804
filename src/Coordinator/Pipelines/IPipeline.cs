using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>
/// All stages of one view, ready to run steps. Works until its first failure and never again: then every step under way or
/// still to come returns <see cref="StepReturn.Lost"/>, and going on takes another view.
/// </summary>
public interface IPipeline
{
    ulong ViewVersion { get; }

    /// <summary>S: how many steps keep all stages busy.</summary>
    int StageCount { get; }

    /// <summary>KV blocks that every worker has.</summary>
    int KvBlocks { get; }

    /// <summary>Completes at the first failure.</summary>
    Task<PipelineFailure> Lost { get; }

    /// <summary>
    /// Sends a step off and returns its result when it is there. Steps run, and return, in the order in which they were sent. The task
    /// never faults and always completes, at the latest when the deadline for a step is over.
    /// </summary>
    Task<StepReturn> ExecuteAsync(ScheduledStep step);

    /// <summary>Tells the workers to forget sequences, after the steps sent so far.</summary>
    void End(IReadOnlyList<ulong> sequences);

    /// <summary>Fails the pipeline for a reason that it cannot see itself.</summary>
    void Abort(PipelineFailure failure);
}

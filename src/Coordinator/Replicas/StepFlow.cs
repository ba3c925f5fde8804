using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>Sends a scheduler's steps to a pipeline. Used by one loop only, which it tells of each step's return.</summary>
/// <param name="returned">Called from any thread, for one step after the other, in the order in which they were sent off.</param>
sealed class StepFlow(IPipeline pipeline, StepScheduler scheduler, TimeProvider time, Action<ScheduledStep, StepReturn> returned)
{
    Task _lastReturn = Task.CompletedTask;

    /// <summary>The steps that have not returned, in the order in which they were sent off.</summary>
    public Queue<ScheduledStep> UnderWay { get; } = [];

    /// <summary>Sends off all steps that can run now.</summary>
    /// <param name="now">A timestamp, for the sequences that begin.</param>
    public void Send(long now)
    {
        scheduler.Advance(time.GetElapsedTime(0, now));
        while (scheduler.Schedule() is { } step)
        {
            for (var i = 0; i < step.Chunks.Count; i++)
                if (step.Chunks[i].Introduces) step.Chunks[i].Run.Sequence.Begin(now);
            UnderWay.Enqueue(step);
            _lastReturn = AwaitAsync(step, pipeline.ExecuteAsync(step), before: _lastReturn);
        }
        if (scheduler.TakeEnded() is { Count: > 0 } ended) pipeline.End(ended);
    }

    /// <summary>Takes in what a step that has returned computed.</summary>
    /// <param name="now">A timestamp.</param>
    public IReadOnlyList<SequenceAdvance> Complete(ScheduledStep step, StepReturn.Completed completed, long now)
    {
        UnderWay.Dequeue();
        scheduler.Advance(time.GetElapsedTime(0, now));
        return scheduler.Complete(step, completed.Results);
    }

    /// <summary>Hands the steps to the loop in the order in which they were sent off, whichever of the tasks completes first.</summary>
    async Task AwaitAsync(ScheduledStep step, Task<StepReturn> returning, Task before)
    {
        var how = await returning;
        await before;
        returned(step, how);
    }
}

using System.Threading.Channels;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// A replica on one pipeline: the scheduler, the KV blocks, and the steps under way. It is made anew for every view, and nothing of it
/// outlives the view. Used by the replica's loop only.
/// </summary>
sealed class ReplicaView
{
    /// <summary>Tokens guessed for a stream at a time.</summary>
    const int MostDrafted = 7;

    readonly ChannelWriter<LoopMessage> _inbox;
    Task _lastReturn = Task.CompletedTask;

    public ReplicaView(IPipeline pipeline, EngineOptions options, ChannelWriter<LoopMessage> inbox)
    {
        (Pipeline, _inbox) = (pipeline, inbox);
        Scheduler = SchedulerOf(options, pipeline.StageCount, pipeline.KvBlocks);
    }

    public IPipeline Pipeline { get; }

    public StepScheduler Scheduler { get; }

    /// <summary>The steps that have not returned, in the order in which they were sent off.</summary>
    public Queue<ScheduledStep> UnderWay { get; } = [];

    public static StepScheduler SchedulerOf(EngineOptions options, int stages, int kvBlocks)
    {
        var limits = new SchedulerLimits
        {
            StepsInFlight = stages,
            MaxStepRows = options.MaxStepRows,
            MaxPromptRows = options.MaxPromptRows,
            MaxStepBytes = MessageBudgets.Message,
            MaxRunning = options.MaxRunning,
            MaxWaiting = options.MaxWaiting,
            MaxWaitingPerClient = options.MaxWaitingPerClient ?? Math.Max(1, options.MaxWaiting / 4),
            CachePrefixes = options.CachePrefixes,
            MaxDraftTokens = options.Speculate ? MostDrafted : 0,
        };
        return new StepScheduler(limits, new KvBlockPool(kvBlocks));
    }

    /// <summary>Sends off all steps that can run now.</summary>
    /// <param name="now">A timestamp, for the sequences that begin.</param>
    public void SendSteps(long now)
    {
        while (Scheduler.Schedule() is { } step)
        {
            for (var i = 0; i < step.Chunks.Count; i++)
                if (step.Chunks[i].Introduces) step.Chunks[i].Run.Sequence.Begin(now);
            UnderWay.Enqueue(step);
            _lastReturn = AwaitAsync(step, Pipeline.ExecuteAsync(step), before: _lastReturn);
        }
        if (Scheduler.TakeEnded() is { Count: > 0 } ended) Pipeline.End(ended);
    }

    /// <summary>Hands the steps to the loop in the order in which they were sent off, whichever of the tasks completes first.</summary>
    async Task AwaitAsync(ScheduledStep step, Task<StepReturn> returned, Task before)
    {
        var how = await returned;
        await before;
        _inbox.TryWrite(new LoopMessage.Return(this, step, how));
    }
}

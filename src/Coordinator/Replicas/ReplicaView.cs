using System.Threading.Channels;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// A replica on one pipeline: the scheduler, the KV blocks, and the steps under way. It is made anew for every view. What outlives the view is what its
/// workers still have of the blocks (<see cref="KeptPrefixes"/>). Used by the replica's loop only.
/// </summary>
sealed class ReplicaView : IDisposable
{
    /// <summary>Tokens guessed for a stream at a time.</summary>
    const int MostDrafted = 15;

    readonly ChannelWriter<LoopMessage> _inbox;
    readonly TimeProvider _time;
    Task _lastReturn = Task.CompletedTask;

    /// <param name="last">The view before, whose workers may still have KV; null: there was none.</param>
    public ReplicaView(
        IPipeline pipeline, ReplicaView? last, EngineOptions options, ChannelWriter<LoopMessage> inbox, TimeProvider time, ILogger logger)
    {
        (Pipeline, _inbox, _time) = (pipeline, inbox, time);
        var kept = last is null || !options.CachePrefixes ? [] : KeptPrefixes.Of(last.Scheduler.Pool, last.Pipeline.ViewVersion, pipeline.Kept, pipeline.KvBlocks);
        var pool = new KvBlockPool(pipeline.KvBlocks, kept);
        if (options.CachePrefixes && pipeline.Disks is { } disks)
        {
            Disk = new ReplicaDisk(disks, pool, () => inbox.TryWrite(LoopMessage.Wake.Instance), time, logger);
            disks.Follow(report => inbox.TryWrite(new LoopMessage.OnDisk(this, report)));
        }
        else pipeline.Disks?.Follow(_ => { });   // nobody will ask for what the workers announced
        Scheduler = new StepScheduler(LimitsOf(options, pipeline.StageCount), pool, Disk?.Tier);
    }

    public IPipeline Pipeline { get; }

    public StepScheduler Scheduler { get; }

    /// <summary>The steps that have not returned, in the order in which they were sent off.</summary>
    public Queue<ScheduledStep> UnderWay { get; } = [];

    /// <summary>Null where not all workers keep KV blocks on disk.</summary>
    public ReplicaDisk? Disk { get; }

    /// <summary>A scheduler without a pipeline, for a line that no view serves; it has as much room as this one.</summary>
    public StepScheduler Unserved(EngineOptions options) => new(LimitsOf(options, Pipeline.StageCount), new KvBlockPool(Pipeline.KvBlocks));

    static SchedulerLimits LimitsOf(EngineOptions options, int stages) => new()
    {
        StepsInFlight = stages,
        MaxStepRows = options.MaxStepRows,
        MaxPromptRows = options.MaxPromptRows,
        MaxStepBytes = MessageBudgets.Message,
        MaxRunning = options.MaxRunning,
        MaxWaiting = options.MaxWaiting,
        MaxWaitingPerClient = options.MaxWaitingPerClient ?? Math.Max(1, options.MaxWaiting / 4),
        CachePrefixes = options.CachePrefixes,
        SessionHold = options.SessionHold,
        MaxDraftTokens = options.Speculate ? MostDrafted : 0,
    };

    /// <summary>What the view, which is over, has left to the next one; nothing if it is not the one that is asked about.</summary>
    /// <param name="waiting">For the next one.</param>
    public FullBlocks FullBlocks(ulong view, OpenStreams waiting) =>
        view == Pipeline.ViewVersion ? Scheduling.FullBlocks.Of(Scheduler.Pool, waiting.All.Select(stream => stream.Run!)) : Scheduling.FullBlocks.None;

    /// <summary>Sends off all steps that can run now.</summary>
    /// <param name="now">A timestamp, for the sequences that begin.</param>
    public void SendSteps(long now)
    {
        Scheduler.Advance(_time.GetElapsedTime(0, now));
        while (Scheduler.Schedule() is { } step)
        {
            for (var i = 0; i < step.Chunks.Count; i++)
                if (step.Chunks[i].Introduces) step.Chunks[i].Run.Sequence.Begin(now);
            UnderWay.Enqueue(step);
            _lastReturn = AwaitAsync(step, Pipeline.ExecuteAsync(step), before: _lastReturn);
        }
        if (Scheduler.TakeEnded() is { Count: > 0 } ended) Pipeline.End(ended);
        Disk?.SendMoves();
    }

    public void Dispose() => Disk?.Dispose();

    /// <summary>Hands the steps to the loop in the order in which they were sent off, whichever of the tasks completes first.</summary>
    async Task AwaitAsync(ScheduledStep step, Task<StepReturn> returned, Task before)
    {
        var how = await returned;
        await before;
        _inbox.TryWrite(new LoopMessage.Return(this, step, how));
    }
}

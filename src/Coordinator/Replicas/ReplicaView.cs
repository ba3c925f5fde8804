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
    readonly ChannelWriter<LoopMessage> _inbox;
    readonly TimeProvider _time;
    readonly IDraftModel? _drafts;
    readonly ITimer? _draftDeadline;

    /// <param name="last">The view before, whose workers may still have KV; null: there was none.</param>
    /// <param name="drafts">Guesses how sequences go on; null: there is none.</param>
    public ReplicaView(
        IPipeline pipeline, ReplicaView? last, EngineOptions options, ChannelWriter<LoopMessage> inbox, TimeProvider time, ILogger logger,
        IDraftModel? drafts = null)
    {
        (Pipeline, _inbox, _time, _drafts) = (pipeline, inbox, time, drafts);
        var kept = last is null || !options.CachePrefixes
            ? []
            : KeptPrefixes.Of(last.Scheduler.Pool, last.Pipeline.ViewVersion, pipeline.Kept, pipeline.KvBlocks);
        var pool = new KvBlockPool(pipeline.KvBlocks, kept);
        if (options.CachePrefixes && pipeline.Disks is { } disks)
        {
            Disk = new ReplicaDisk(disks, pool, () => inbox.TryWrite(LoopMessage.Wake.Instance), time, logger);
            disks.Follow(report => inbox.TryWrite(new LoopMessage.OnDisk(this, report)));
        }
        else pipeline.Disks?.Follow(_ => { });   // nobody will ask for what the workers announced
        Scheduler = new StepScheduler(LimitsOf(options, pipeline.StageCount), pool, Disk?.Tier);
        Steps = new StepFlow(pipeline, Scheduler, time, (step, how) => inbox.TryWrite(new LoopMessage.Return(this, step, how)));
        if (drafts is null) return;
        _draftDeadline = time.CreateTimer(_ => inbox.TryWrite(LoopMessage.Wake.Instance), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public IPipeline Pipeline { get; }

    public StepScheduler Scheduler { get; }

    public StepFlow Steps { get; }

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
        MaxDraftTokens = options.Speculate ? EngineOptions.MostDraftTokens : 0,
        DraftTokens = options.DraftTokens,
    };

    /// <summary>What the view, which is over, has left to the next one; nothing if it is not the one that is asked about.</summary>
    /// <param name="waiting">For the next one.</param>
    public FullBlocks FullBlocks(ulong view, OpenStreams waiting) =>
        view == Pipeline.ViewVersion ? Scheduling.FullBlocks.Of(Scheduler.Pool, waiting.All.Select(stream => stream.Run!)) : Scheduling.FullBlocks.None;

    /// <summary>Asks for drafts, and sends off all steps that can run now.</summary>
    /// <param name="now">A timestamp, for the sequences that begin.</param>
    public void SendSteps(long now)
    {
        Ask();
        Steps.Send(now);
        Disk?.SendMoves();
        if (Scheduler.DraftModel.Deadline is not { } deadline) return;
        var left = deadline - _time.GetElapsedTime(0, now);
        _draftDeadline?.Change(TimeSpan.FromMilliseconds(Math.Max(0, Math.Ceiling(left.TotalMilliseconds))), Timeout.InfiniteTimeSpan);
    }

    /// <summary>The draft model has answered.</summary>
    /// <param name="now">A timestamp.</param>
    public void Answer(DraftAnswer answer, long now)
    {
        Scheduler.Advance(_time.GetElapsedTime(0, now));
        Scheduler.DraftModel.Answer(answer);
    }

    public void Dispose()
    {
        Disk?.Dispose();
        _draftDeadline?.Dispose();
    }

    void Ask()
    {
        if (_drafts is null) return;
        Scheduler.DraftModel.IsReady = _drafts.IsReady;
        foreach (var question in Scheduler.DraftModel.TakeQuestions())
            _drafts.Ask(question, answer => _inbox.TryWrite(new LoopMessage.Drafted(this, answer)));
    }
}

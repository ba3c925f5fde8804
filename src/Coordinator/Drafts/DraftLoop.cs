using System.Threading.Channels;
using LlamaCluster.Cluster;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Scheduling;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Drafts;

/// <summary>
/// Owns the sequences of a draft model: takes in questions and what steps computed, schedules, sends steps off, and again. It schedules as a replica does, so
/// questions of several streams share steps, and prompts share what is computed of them. A sequence rests, and keeps its KV blocks until others need them,
/// while its drafts are verified; then it goes on from the last token that was right.
/// </summary>
sealed partial class DraftLoop(EngineOptions options, int maxPositions, Channel<DraftMessage> inbox, TimeProvider time, ILogger logger)
{
    readonly Dictionary<ulong, DraftedSequence> _sequences = [];
    IPipeline? _pipeline;
    StepScheduler? _scheduler;
    StepFlow? _steps;

    public async Task RunAsync(CancellationToken stopping)
    {
        try
        {
            while (await inbox.Reader.WaitToReadAsync(stopping)) Turn();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            inbox.Writer.TryComplete();
            Leave();
        }
    }

    void Turn()
    {
        try
        {
            while (inbox.Reader.TryRead(out var message)) Update(message);
            _steps?.Send(time.GetTimestamp());
        }
        catch (Exception e)
        {
            // A bug costs this view's drafts; the next view begins anew.
            LogBroke(e);
            _pipeline?.Abort(new PipelineFailure(null, WorkerLost: false, $"the draft model's loop failed ({e.GetType().Name})"));
            Leave();
        }
    }

    void Update(DraftMessage message)
    {
        switch (message)
        {
            case DraftMessage.Ask ask: Ask(ask); break;
            case DraftMessage.Forget { Sequence: var id }: Forget(id); break;
            case DraftMessage.Attach { Pipeline: var pipeline }: Attach(pipeline); break;
            case DraftMessage.Detach detach when detach.Pipeline == _pipeline: Leave(); break;
            case DraftMessage.Return returned when returned.Pipeline == _pipeline: Return(returned); break;
        }
    }

    void Attach(IPipeline pipeline)
    {
        Leave();
        _pipeline = pipeline;
        pipeline.Disks?.Follow(_ => { });   // drafts' KV is not kept there
        _scheduler = new StepScheduler(LimitsOf(options, pipeline), new KvBlockPool(pipeline.KvBlocks));
        _steps = new StepFlow(pipeline, _scheduler, time, (step, how) => inbox.Writer.TryWrite(new DraftMessage.Return(pipeline, step, how)));
    }

    static SchedulerLimits LimitsOf(EngineOptions options, IPipeline pipeline) => new()
    {
        StepsInFlight = pipeline.StageCount,
        MaxStepRows = options.MaxStepRows,
        MaxPromptRows = options.MaxPromptRows,
        MaxStepBytes = MessageBudgets.Message,
        MaxRunning = options.MaxRunning,
        MaxWaiting = int.MaxValue,
        CachePrefixes = options.CachePrefixes,
    };

    /// <summary>No pipeline is there any more: nobody is to wait for an answer.</summary>
    void Leave()
    {
        (_pipeline, _scheduler, _steps) = (null, null, null);
        foreach (var sequence in _sequences.Values) sequence.EndRun();
    }

    void Ask(DraftMessage.Ask ask)
    {
        var question = ask.Question;
        if (!_sequences.TryGetValue(question.Sequence, out var sequence))
            _sequences.Add(question.Sequence, sequence = new DraftedSequence(question, maxPositions));
        sequence.Ask(question, ask.Answer);
        if (_scheduler is null || !sequence.CanGoOn || (sequence.Run is null && !TryBegin(sequence, _scheduler))) sequence.GiveUp();
        else sequence.Update(_scheduler);
    }

    bool TryBegin(DraftedSequence sequence, StepScheduler scheduler)
    {
        var run = sequence.BeginRun(scheduler.Pool.Positions, time, () => inbox.Writer.TryWrite(DraftMessage.Wake.Instance));
        if (scheduler.Add(run) == AddOutcome.Queued) return true;
        sequence.EndRun(forGood: true);   // the pool is too small for it
        return false;
    }

    void Forget(ulong id)
    {
        if (!_sequences.Remove(id, out var sequence)) return;
        if (sequence.Run is { } run) _scheduler!.Cancel(run);
    }

    void Return(DraftMessage.Return returned)
    {
        if (returned.How is not StepReturn.Completed completed)
        {
            Leave();
            return;
        }
        foreach (var advance in _steps!.Complete(returned.Step, completed, time.GetTimestamp()))
        {
            if (!_sequences.TryGetValue(advance.Run.Id, out var sequence) || sequence.Run != advance.Run) continue;
            if (advance is { Failure: null, Finished: null }) sequence.Update(_scheduler!);
            else sequence.EndRun(forGood: true);
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "The draft model's loop failed; it begins anew with the next view")]
    partial void LogBroke(Exception e);
}

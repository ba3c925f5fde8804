using System.Threading.Channels;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// The heart of a replica: takes in what has happened, schedules, sends steps off, and again. One task owns all sequences; everybody else sends it messages. It
/// waits only for messages. When a view is over, its sequences are not: they wait in <see cref="UnservedLine"/>, as new ones do that come meanwhile. The next
/// view computes what its workers lack of them again from their tokens, and since results are exact, their streams go on as if nothing had happened.
/// </summary>
sealed partial class ReplicaLoop : IAsyncDisposable
{
    const string Again = "send the request again once /ready says yes";
    readonly string _name;
    readonly EngineOptions _options;
    readonly Channel<LoopMessage> _inbox;
    readonly CoordinatorMetrics _metrics;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    readonly IDraftModel? _drafts;
    readonly OpenStreams _open;
    readonly PoisonWatch _poison;
    readonly Isolation _isolation;
    readonly UnservedLine _unserved;
    readonly List<TaskCompletionSource> _drains = [];   // who waits until nothing runs any more
    ReplicaView? _view, _lastView;
    ulong _lastSequence;
    string? _refusal = "no model is loaded yet";
    bool _refusesForGood;
    volatile bool _takesSequences;

    public ReplicaLoop(string name, EngineOptions options, TimeSpan recoveryTimeout, Channel<LoopMessage> inbox, CoordinatorMetrics metrics, TimeProvider time,
        ILogger logger, IDraftModel? drafts = null)
    {
        (_name, _options, _inbox, _metrics, _time, _logger, _drafts) = (name, options, inbox, metrics, time, logger, drafts);
        (_open, _unserved, _poison) = (new OpenStreams(options.MaxWait, time, Wake), new UnservedLine(recoveryTimeout, time, Wake), new PoisonWatch(time));
        _isolation = new Isolation(_poison);
    }

    /// <summary>There is a view, or sequences may wait for one. It stays so from one view to the next. Safe to ask from any thread.</summary>
    public bool TakesSequences => _takesSequences;

    StepScheduler? Scheduler => _view?.Scheduler ?? _unserved.Scheduler;

    public async Task RunAsync(CancellationToken stopping)
    {
        try
        {
            while (await _inbox.Reader.WaitToReadAsync(stopping)) Turn();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            LogStopped(_name, _open.Count);
        }
        finally
        {
            _inbox.Writer.TryComplete();
            EndAll("the coordinator is stopping");
            while (_inbox.Reader.TryRead(out var message)) Update(message);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _open.DisposeAsync();
        await _unserved.DisposeAsync();
    }

    void Turn()
    {
        try
        {
            while (_inbox.Reader.TryRead(out var message)) Update(message);
            _takesSequences = _refusal is null && Scheduler is not null;
            if (_unserved.IsOverdue()) EndAll($"{_unserved.Reason}, and no other worker could take over within {_unserved.Limit.TotalSeconds:0.###} s");
            if (Scheduler is not { } scheduler) return;
            RefuseOverdue();
            if (_view is not null)
            {
                ResumeReaders();
                _isolation.Apply(_view, _open);
                _view.SendSteps(_time.GetTimestamp());
            }
            TellIfDrained();
            _metrics.Observe(_name, scheduler);
        }
        catch (Exception e)
        {
            // A bug must not leave anybody waiting: it costs this view and its sequences, and the next view begins anew.
            LogBroke(_name, e);
            var reason = $"the generation loop failed ({e.GetType().Name})";
            _view?.Pipeline.Abort(new PipelineFailure(null, WorkerLost: false, reason));
            EndAll(reason);
        }
    }

    void Update(LoopMessage message)
    {
        switch (message)
        {
            case LoopMessage.Submit { Streams: var streams }: Submit(streams); break;
            case LoopMessage.Abandon { Stream: var stream }: Abandon(stream); break;
            case LoopMessage.Return returned when returned.View == _view: Return(returned); break;
            case LoopMessage.Drafted drafted when drafted.View == _view: _view.Answer(drafted.Answer, _time.GetTimestamp()); break;
            case LoopMessage.OnDisk told when told.View == _view: _view.Disk!.Tier.Update(told.Report); break;
            case LoopMessage.Attach { Pipeline: var pipeline }: Attach(pipeline); break;
            case LoopMessage.Detach detach when detach.Pipeline == _view?.Pipeline: LeaveView(detach.Why); break;
            case LoopMessage.Drain drain: Drain(drain); break;
            case LoopMessage.Count { Counted: var counted }: counted.TrySetResult(_open.Load); break;
            case LoopMessage.TellFull tell: tell.Told.TrySetResult(_lastView?.FullBlocks(tell.View, _open) ?? FullBlocks.None); break;
        }
        TellIfDrained();
    }

    void Attach(IPipeline pipeline)
    {
        _view?.Dispose();
        (_view, _lastView) = (new ReplicaView(pipeline, _lastView, _options, _inbox.Writer, _time, _logger, _drafts), null);
        if (!_refusesForGood) _refusal = null;
        _isolation.Begin(_open);
        MoveTo(_view.Scheduler);
        _unserved.Close(isServed: _open.Count == 0);
        if (_open.Count > 0) LogGoOn(_name, _open.Count, pipeline.ViewVersion);
    }

    /// <summary>The view's pipeline is of no use any more. Its sequences, and new ones, wait for the next one.</summary>
    void LeaveView(PipelineFailure why)
    {
        (var view, _view, _lastView) = (_view!, null, _view);
        view.Dispose();
        _metrics.Observe(_name, null);
        if (_poison.ViewEnded(why, view.Steps.UnderWay, view.Pipeline.NotDoneBy(why.Worker)) is { } poisonous) EndPoisonous(_open[poisonous], why);
        if (!_refusesForGood) _refusal = null;
        _unserved.Open(view.Unserved(_options), why.Message);
        MoveTo(_unserved.Scheduler!);
        if (_open.Count > 0) LogWait(_name, _open.Count, _unserved.Limit.TotalSeconds, why.Message);
    }

    /// <summary>Hands all sequences to a scheduler, which knows nothing of them yet but their tokens.</summary>
    void MoveTo(StepScheduler scheduler)
    {
        foreach (var stream in _open.All.ToList())
        {
            stream.Sequence!.Fit(scheduler.Pool.Positions);
            stream.BeginRun();
            if (!scheduler.TryCarryOver(stream.Run!)) EndOutgrown(stream, scheduler.Pool.Positions);
            else if (_open.IsBehind(stream)) scheduler.Pause(stream.Run!);
        }
    }

    void EndAll(string reason)
    {
        _view?.Dispose();
        (_view, _takesSequences) = (null, false);
        _unserved.Close(isServed: true);
        if (!_refusesForGood) _refusal = reason;
        foreach (var stream in _open.All.ToList())
        {
            Close(stream, SequenceOutcome.Failed);
            stream.Fail($"{reason}, and the request with it; {Again}", retryable: true);
        }
        TellIfDrained();
        _metrics.Observe(_name, null);
    }

    void EndPoisonous(SequenceStream stream, PipelineFailure why)
    {
        var times = _poison.TimesOf(stream.Sequence!.Id);
        LogPoisonous(_name, stream.Sequence.Id, stream.Request.RequestId, times, why.Message);
        Close(stream, SequenceOutcome.Failed);
        stream.Fail($"the sequence failed: workers failed {times} times in a row as they computed it, the last time: {why.Message}", retryable: false);
    }

    void EndOutgrown(SequenceStream stream, long positions)
    {
        Close(stream, SequenceOutcome.Failed);
        var problem = $"{_unserved.Reason}; the request may need {stream.Sequence!.MaxPositions} positions of KV cache, "
            + $"but the cluster has room for {positions} now";
        if (stream.Sequence.HasBegun) stream.Fail($"{problem}; {Again}", retryable: true);
        else stream.Refuse($"{problem}; shorten the prompt or ask for fewer tokens", Refusal.TooLarge);
    }

    void Drain(LoopMessage.Drain drain)
    {
        if (!_refusesForGood) (_refusal, _refusesForGood) = (drain.Reason, drain.ForGood);
        _drains.Add(drain.Drained);
    }

    /// <summary>Nothing runs any more, and what was computed is on disk, where there is one.</summary>
    void TellIfDrained()
    {
        if (_open.Count > 0 || _view?.Disk is { Tier.IsIdle: false }) return;
        foreach (var drained in _drains) drained.TrySetResult();
        _drains.Clear();
    }

    void Submit(IReadOnlyList<SequenceStream> streams)
    {
        if (_refusal is not null || Scheduler is not { } scheduler)
        {
            Refuse(streams, Refusal.NotReady, $"{_refusal}; {Again}");
            return;
        }
        foreach (var stream in streams)
        {
            stream.Sequence = new Sequence(++_lastSequence, stream.Request, _time, stream.Submitted) { AdapterUse = stream.AdapterUse };
            stream.Sequence.Fit(scheduler.Pool.Positions);
            stream.BeginRun();
        }
        var outcome = scheduler.Add([.. streams.Select(stream => stream.Run!)]);
        if (AddRefusal.Of(outcome, scheduler, streams) is var (why, message)) Refuse(streams, why, message);
        else Open(streams);
    }

    void Open(IReadOnlyList<SequenceStream> streams)
    {
        foreach (var stream in streams) _open.Add(stream);
        foreach (var keys in streams.Select(stream => stream.Keys).Distinct()) keys.ComputeSoon(Wake);   // the sequences wait for it
    }

    void Wake() => _inbox.Writer.TryWrite(LoopMessage.Wake.Instance);

    void Abandon(SequenceStream stream)
    {
        if (!_open.Has(stream)) return;
        Scheduler!.Cancel(stream.Run!);
        Close(stream, SequenceOutcome.Cancelled);
    }

    void Refuse(IReadOnlyList<SequenceStream> streams, Refusal why, string message)
    {
        foreach (var stream in streams)
        {
            stream.Refuse(message, why);
            _metrics.Sequences.Ended(_name, SequenceOutcome.Refused, stream.Sequence);
        }
    }

    void RefuseOverdue()
    {
        while (_open.FirstOverdue() is { } first)
        {
            Scheduler!.Cancel(first.Run!);
            Close(first, SequenceOutcome.Refused);
            first.Refuse($"the request waited {_options.MaxWait.TotalSeconds:0.###} s for its turn; send it again later", Refusal.WaitedTooLong);
        }
    }

    void ResumeReaders()
    {
        foreach (var stream in _open.AnyBehind ? _open.TakeCaughtUp(_options.MaxUnreadTokens / 2) : [])
            if (!stream.IsHeld) _view!.Scheduler.Resume(stream.Run!);
    }

    void Return(LoopMessage.Return returned)
    {
        if (returned.How is not StepReturn.Completed completed)
        {
            LeaveView(((StepReturn.Lost)returned.How).Failure);
            return;
        }
        _metrics.StepReturned(_name, returned.Step);
        var now = _time.GetTimestamp();
        foreach (var advance in returned.View.Steps.Complete(returned.Step, completed, now))
        {
            var stream = _open[advance.Run.Id];
            _metrics.Sequences.Advanced(_name, advance.Run.Sequence, advance.Tokens.Count, now);
            _poison.Generated(advance.Run.Id, advance.Tokens.Count);
            if ((advance.Tokens.Count > 0 || advance.Finished is not null) && _unserved.Served(now) is { } waited)
            {
                _metrics.Recovered(_name, waited);
                LogServed(_name, waited.TotalSeconds);
            }
            if (advance.Failure is { } why) LogSequenceFailed(_name, advance.Run.Id, stream.Request.RequestId, why);
            stream.Report(advance);
            if (advance is { Finished: null, Failure: null }) PauseIfBehind(stream);
            else Close(stream, SchedulerMetrics.OutcomeOf(advance));
        }
    }

    void PauseIfBehind(SequenceStream stream)
    {
        if (stream.Unread <= _options.MaxUnreadTokens || !_open.TryFallBehind(stream)) return;
        _view!.Scheduler.Pause(stream.Run!);
        stream.WakeAt(_options.MaxUnreadTokens / 2);
    }

    void Close(SequenceStream stream, string outcome)
    {
        if (!_open.TryClose(stream)) return;
        _poison.Forget(stream.Sequence!.Id);
        _drafts?.Forget(stream.Sequence.Id);
        _metrics.Sequences.Ended(_name, outcome, stream.Sequence);
        if (_view is not null && _open.Count == 0) _unserved.Close(isServed: true);   // nobody is left that waits for a token
    }
}

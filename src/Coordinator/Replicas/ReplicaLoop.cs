using System.Threading.Channels;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Replicas;

/// <summary>
/// The heart of a replica: takes in what has happened, schedules, sends steps off, and again. One task owns all sequences; everybody else sends
/// it messages. It waits only for messages. It works for as long as the process does, with one view after the other.
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
    readonly ITimer _overdue;
    readonly Dictionary<ulong, SequenceStream> _open = [];
    readonly Dictionary<ulong, SequenceStream> _behind = [];   // open, and paused until their readers catch up
    readonly LinkedList<SequenceStream> _arrivals = [];   // open, by arrival; without those before the first that has not begun
    SequenceStream? _overdueFor;   // whose time the timer is set for
    ReplicaView? _view;
    ulong _lastSequence;
    string? _refusal = "no model is loaded yet";
    bool _refusesForGood;
    readonly List<TaskCompletionSource> _drains = [];   // who waits until nothing runs any more

    public ReplicaLoop(string name, EngineOptions options, Channel<LoopMessage> inbox, CoordinatorMetrics metrics, TimeProvider time, ILogger logger)
    {
        (_name, _options, _inbox, _metrics, _time, _logger) = (name, options, inbox, metrics, time, logger);
        _overdue = time.CreateTimer(_ => inbox.Writer.TryWrite(LoopMessage.Wake.Instance), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public async Task RunAsync(CancellationToken stopping)
    {
        try
        {
            while (await _inbox.Reader.WaitToReadAsync(stopping))
                Turn();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            LogStopped(_name, _open.Count);
        }
        finally
        {
            _inbox.Writer.TryComplete();
            LeaveView("the coordinator is stopping");
            while (_inbox.Reader.TryRead(out var message)) Update(message);
        }
    }

    public ValueTask DisposeAsync() => _overdue.DisposeAsync();

    void Turn()
    {
        try
        {
            while (_inbox.Reader.TryRead(out var message)) Update(message);
            if (_view is null) return;
            RefuseOverdue();
            ResumeReaders();
            _view.SendSteps(_time.GetTimestamp());
            TellIfDrained();
            _metrics.Observe(_name, _view.Scheduler);
        }
        catch (Exception e)
        {
            // A bug must not leave anybody waiting: it costs this view and its sequences, and the next view begins anew.
            LogBroke(_name, e);
            var reason = $"the generation loop failed ({e.GetType().Name})";
            _view?.Pipeline.Abort(new PipelineFailure(null, WorkerLost: false, reason));
            LeaveView(reason);
        }
    }

    void Update(LoopMessage message)
    {
        switch (message)
        {
            case LoopMessage.Submit { Streams: var streams }: Submit(streams); break;
            case LoopMessage.Abandon { Stream: var stream }: Abandon(stream); break;
            case LoopMessage.Return returned when returned.View == _view: Return(returned); break;
            case LoopMessage.AskSession ask: ask.Positions.TrySetResult(_view?.Scheduler.ResidentPositions(ask.Key) ?? 0); break;
            case LoopMessage.OnDisk told when told.View == _view: _view.Disk!.Tier.Update(told.Report); break;
            case LoopMessage.Attach { Pipeline: var pipeline }: Attach(pipeline); break;
            case LoopMessage.Detach detach when detach.Pipeline == _view?.Pipeline: LeaveView(detach.Reason); break;
            case LoopMessage.Drain drain: Drain(drain); break;
        }
        TellIfDrained();
    }

    void Attach(IPipeline pipeline)
    {
        _view = new ReplicaView(pipeline, _options, _inbox.Writer, _time, _logger);
        if (!_refusesForGood) _refusal = null;
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
        if (_refusal is not null || _view is null)
        {
            Refuse(streams, Refusal.NotReady, $"{_refusal}; {Again}");
            return;
        }
        var scheduler = _view.Scheduler;
        foreach (var stream in streams) stream.Run = new SequenceRun(new Sequence(++_lastSequence, Fit(stream.Request), _time, stream.Submitted), stream.Keys);
        switch (scheduler.Add([.. streams.Select(stream => stream.Run!)]))
        {
            case AddOutcome.Queued:
                Open(streams);
                break;
            case AddOutcome.QueueFull:
                Refuse(streams, Refusal.QueueFull,
                    $"{scheduler.RunningCount} sequences run and {scheduler.WaitingCount} wait already; send the request again later");
                break;
            case AddOutcome.ClientQueueFull:
                Refuse(streams, Refusal.ClientQueueFull,
                    "as many sequences of this client wait already as one client may have; send the request again when some of them have finished");
                break;
            case AddOutcome.NeverFits:
                Refuse(streams, Refusal.TooLarge,
                    $"the request may need {streams.Max(stream => stream.Run!.Sequence.MaxPositions)} positions of KV cache, "
                    + $"but the cluster has room for {_view.Positions}; shorten the prompt or ask for fewer tokens");
                break;
        }
    }

    /// <summary>The request with no more tokens than the KV cache has room for, if nobody asked for so many.</summary>
    SequenceRequest Fit(SequenceRequest request)
    {
        var most = _view!.Positions - request.Prompt.Count + 1;   // the last token is sampled but never run
        return request.MaxTokensIsDefault && request.MaxTokens > most && most > 0 ? request with { MaxTokens = (int)most } : request;
    }

    void Open(IReadOnlyList<SequenceStream> streams)
    {
        foreach (var stream in streams)
        {
            _open.Add(stream.Run!.Id, stream);
            stream.Arrival = _arrivals.AddLast(stream);
            if (!stream.Keys.AreKnown && stream.Keys.IsShort) stream.Keys.Compute();
        }
        foreach (var keys in streams.Select(stream => stream.Keys).Where(keys => !keys.AreKnown).Distinct()) _ = Task.Run(() => Compute(keys));
    }

    /// <summary>Takes too long for the loop. The sequences wait for it.</summary>
    void Compute(PromptKeys keys)
    {
        keys.Compute();
        _inbox.Writer.TryWrite(LoopMessage.Wake.Instance);
    }

    void Abandon(SequenceStream stream)
    {
        if (!TryClose(stream)) return;
        _view!.Scheduler.Cancel(stream.Run!);
        _metrics.Sequences.Ended(_name, SequenceOutcome.Cancelled, stream.Run!.Sequence);
    }

    void Refuse(IReadOnlyList<SequenceStream> streams, Refusal why, string message)
    {
        foreach (var stream in streams)
        {
            stream.Refuse(message, why);
            _metrics.Sequences.Ended(_name, SequenceOutcome.Refused, stream.Run?.Sequence);
        }
    }

    /// <summary>Refuses the sequences that have not begun in time, and has the loop woken when the next one's time is over.</summary>
    void RefuseOverdue()
    {
        while (_arrivals.First?.Value is { } first)
        {
            if (first.Run!.Sequence.HasBegun)
            {
                Forget(first);
                continue;
            }
            var left = _options.MaxWait - _time.GetElapsedTime(first.Run.Sequence.Submitted);
            if (left > TimeSpan.Zero)
            {
                if (_overdueFor != first) _overdue.Change(left, Timeout.InfiniteTimeSpan);
                _overdueFor = first;
                return;
            }
            TryClose(first);
            _view!.Scheduler.Cancel(first.Run);
            Refuse([first], Refusal.WaitedTooLong, $"the request waited {_options.MaxWait.TotalSeconds:0.###} s for its turn; send it again later");
        }
    }

    void ResumeReaders()
    {
        if (_behind.Count == 0) return;
        foreach (var (id, stream) in _behind)
        {
            if (stream.Unread > _options.MaxUnreadTokens / 2) continue;
            _behind.Remove(id);
            _view!.Scheduler.Resume(stream.Run!);
        }
    }

    void Return(LoopMessage.Return returned)
    {
        if (returned.How is not StepReturn.Completed completed)
        {
            LeaveView(((StepReturn.Lost)returned.How).Failure.Message);
            return;
        }
        _metrics.StepReturned(_name, returned.Step);
        var now = _time.GetTimestamp();
        foreach (var advance in returned.View.Scheduler.Complete(returned.Step, completed.Results))
        {
            var stream = _open[advance.Run.Id];
            _metrics.Sequences.Advanced(_name, advance.Run.Sequence, advance.Tokens.Count, now);
            stream.Report(advance);
            if (advance.Failure is { } why) LogSequenceFailed(_name, advance.Run.Id, stream.Request.RequestId, why);
            if (advance is { Finished: null, Failure: null })
                PauseIfBehind(stream);
            else if (TryClose(stream))
                _metrics.Sequences.Ended(_name, SchedulerMetrics.OutcomeOf(advance), advance.Run.Sequence);
        }
    }

    void PauseIfBehind(SequenceStream stream)
    {
        if (stream.Unread <= _options.MaxUnreadTokens || !_behind.TryAdd(stream.Run!.Id, stream)) return;
        _view!.Scheduler.Pause(stream.Run);
        stream.WakeAt(_options.MaxUnreadTokens / 2);
    }

    /// <summary>The view's pipeline is of no use any more: every sequence ends with the reason.</summary>
    void LeaveView(string reason)
    {
        _view?.Dispose();
        _view = null;
        if (!_refusesForGood) _refusal = reason;
        foreach (var stream in _open.Values)
        {
            stream.Fail($"{reason}, and the request with it; {Again}", retryable: true);
            _metrics.Sequences.Ended(_name, SequenceOutcome.Failed, stream.Run!.Sequence);
        }
        _open.Clear();
        _behind.Clear();
        _arrivals.Clear();
        TellIfDrained();
        _metrics.Observe(_name, null);
    }

    bool IsOpen(SequenceStream stream) => stream.Run is { } run && _open.GetValueOrDefault(run.Id) == stream;

    /// <returns>Whether the sequence was open.</returns>
    bool TryClose(SequenceStream stream)
    {
        if (!IsOpen(stream)) return false;
        _behind.Remove(stream.Run!.Id);
        Forget(stream);
        return _open.Remove(stream.Run.Id);
    }

    /// <summary>The sequence does not wait for its first turn any more.</summary>
    void Forget(SequenceStream stream)
    {
        if (stream.Arrival is { } arrival) _arrivals.Remove(arrival);
        stream.Arrival = null;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Replica} stops with {Open} sequences open")]
    partial void LogStopped(string replica, int open);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Replica}: sequence {Sequence} of request '{RequestId}' failed: {Reason}")]
    partial void LogSequenceFailed(string replica, ulong sequence, string requestId, string reason);

    [LoggerMessage(Level = LogLevel.Critical, Message = "The loop of {Replica} failed; its sequences fail, and the view is over")]
    partial void LogBroke(string replica, Exception exception);
}

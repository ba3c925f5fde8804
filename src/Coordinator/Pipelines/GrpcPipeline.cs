using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>
/// The workers of one view, with one stream of steps to each. A step is complete when the first rank of the last stage that it goes through has answered,
/// because it cannot before all others have run the step. Replies of other views, and of steps that are not under way, are dropped.
/// <para>
/// The right worker must be blamed for a failure. When a worker says that it lost another one, it is believed only after a moment in which
/// that other one may turn out to be gone. When a step takes too long, the first stage that has not reported it done is at fault.
/// </para>
/// </summary>
public sealed partial class GrpcPipeline : IPipeline, IAsyncDisposable
{
    readonly PipelineOptions _options;
    readonly StepStream[] _streams;
    readonly CoordinatorMetrics _metrics;
    readonly Pulse _pulse;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    readonly ITimer _stepDeadline;
    readonly ITimer _blame;
    readonly TaskCompletionSource<PipelineFailure> _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);

    readonly WorkerDisks? _disks;

    readonly Lock _lock = new();
    readonly int[] _firstLayers;   // of each stage
    readonly StepsInFlight _inFlight;   // guarded by _lock, as are the fields below
    readonly GrammarMessages _grammars;
    IReadOnlyList<StepInFlight> _left = [];   // when it failed
    PipelineFailure? _failure;
    PipelineFailure? _suspicion;

    GrpcPipeline(PipelineOptions options, StepStream[] streams, CoordinatorMetrics metrics, Pulse pulse, TimeProvider time, ILogger logger)
    {
        (_options, _streams, _metrics, _pulse, _time, _logger) = (options, streams, metrics, pulse, time, logger);
        _firstLayers = [.. Enumerable.Range(0, StageCount).Select(stage => options.Plan.Ranks(stage)[0].Shard.Layers.First)];
        _inFlight = new StepsInFlight(_firstLayers, time);
        _grammars = new GrammarMessages(options, _firstLayers[^1]);
        if (Array.TrueForAll(streams, stream => stream.SpillsAtOnce > 0)) _disks = new WorkerDisks(ViewVersion, streams, _lock, options.Deadlines.Step);
        _stepDeadline = time.CreateTimer(_ => OnStepLate(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _blame = time.CreateTimer(_ => OnBlameDue(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public ulong ViewVersion => _options.Plan.ViewVersion;

    public int StageCount => _options.Plan.StageCount;

    public int KvBlocks => _options.KvBlocks;

    public Task<PipelineFailure> Lost => _lost.Task;

    public IWorkerDisks? Disks => _disks;

    public IReadOnlyList<StageKeeps> Kept => _options.Kept;

    /// <summary>Opens the streams to all workers of a plan that they have loaded.</summary>
    public static async Task<PipelineOpening> OpenAsync(
        PipelineOptions options, IPeerConnector peers, CoordinatorMetrics metrics, Pulse pulse, TimeProvider time, ILogger logger,
        CancellationToken cancellation)
    {
        using var deadline = new CancellationTokenSource(options.Deadlines.Open, time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        StepStream[] streams = [.. options.Workers.Select(worker => new StepStream(worker, peers.Connect(worker.Assignment.Address)))];
        var failures = await Task.WhenAll(streams.Select(stream => stream.OpenAsync(options.Plan.ViewVersion, options.Plan.ModelDigest, ends.Token)));
        if (failures.OfType<PipelineFailure>().OrderByDescending(failure => failure.WorkerLost).FirstOrDefault() is { } failure)
        {
            foreach (var stream in streams) await stream.DisposeAsync();
            cancellation.ThrowIfCancellationRequested();
            return new PipelineOpening.Failed(failure);
        }
        try
        {
            var pipeline = new GrpcPipeline(options, streams, metrics, pulse, time, logger);
            foreach (var stream in streams) stream.Start(pipeline.OnReply, pipeline.Abort);
            return new PipelineOpening.Opened(pipeline);
        }
        catch (InvalidMessageException wrong)   // the keys of blocks on disk that a worker announced
        {
            foreach (var stream in streams) await stream.DisposeAsync();
            return new PipelineOpening.Failed(new PipelineFailure(null, WorkerLost: false, wrong.Message));
        }
    }

    public Task<StepReturn> ExecuteAsync(ScheduledStep step)
    {
        lock (_lock)
        {
            if (_failure is not null) return Task.FromResult<StepReturn>(new StepReturn.Lost(_failure));
            var pending = _inFlight.Add(step);
            if (_inFlight.Oldest == pending) RestartDeadline();
            if (step.Ended.Count > 0) End(step.Ended);
            if (step.Moves is { } moves) _disks!.Move(moves);
            foreach (var message in _grammars.Of(step)) SendToLastStage(message);
            foreach (var history in StepMessages.HistoriesOf(step, ViewVersion, _firstLayers[^1])) SendToLastStage(history);
            var requests = StepMessages.Of(step, ViewVersion, pending.Id, _firstLayers);
            foreach (var stream in _streams)
                if (pending.HasPart(stream.Worker)) stream.Send(requests[stream.Worker.Stage - pending.FirstStage]);
            return pending.Returned;
        }
    }

    void SendToLastStage(StepRequest request)
    {
        foreach (var stream in _streams)
            if (stream.Worker.Stage == StageCount - 1) stream.Send(request);
    }

    public void End(IReadOnlyList<ulong> sequences)
    {
        var request = new StepRequest { Ended = new SequencesEnded { ViewVersion = ViewVersion, SequenceIds = { sequences } } };
        lock (_lock)
            foreach (var stream in _streams) stream.Send(request);
    }

    public void Abort(PipelineFailure failure)
    {
        IReadOnlyList<StepInFlight> waiting;
        lock (_lock)
        {
            if (_failure is not null) return;
            _failure = failure;
            waiting = _left = _inFlight.RemoveAll();
            StopDeadline();
        }
        LogFailed(ViewVersion, failure.Message);
        foreach (var step in waiting) step.Return(new StepReturn.Lost(failure));
        _lost.TrySetResult(failure);
    }

    public ScheduledStep? NotDoneBy(WorkerId? worker)
    {
        lock (_lock)
            return Array.Find(_streams, stream => stream.Worker.Id == worker) is { } stream
                ? _left.FirstOrDefault(step => step.Id > stream.DoneUpTo && step.HasPart(stream.Worker))?.Step : null;
    }

    public async ValueTask DisposeAsync()
    {
        Abort(new PipelineFailure(null, WorkerLost: false, $"view {ViewVersion} was closed") { IsPlanned = true });
        foreach (var stream in _streams) await stream.DisposeAsync();
        await _stepDeadline.DisposeAsync();
        await _blame.DisposeAsync();
    }

    void OnReply(StepStream stream, StepReply reply)
    {
        stream.Worker.Heard();
        switch (reply)
        {
            case { Result: { } result } when result.ViewVersion == ViewVersion: OnResult(stream, result); break;
            case { Done: { } done } when done.ViewVersion == ViewVersion: OnDone(stream, done); break;
            case { Failed: { } failed }: OnFailed(stream.Worker, failed); break;
            case { Kept: { } kept } when kept.ViewVersion == ViewVersion: _disks?.OnKept(stream, kept); break;
            case { Restored: { } restored } when restored.ViewVersion == ViewVersion: _disks?.OnRestored(stream, restored); break;
            case { Restoring: { } restoring } when restoring.ViewVersion == ViewVersion: _disks?.OnRestoring(stream); break;
            default: LogDropped(stream.Worker, reply.KindCase); break;
        }
    }

    void OnResult(StepStream stream, StepResult result)
    {
        StepInFlight? step;
        lock (_lock)
        {
            step = _inFlight.NextResult;
            if (step is null || result.StepId < step.Id || !Samples(stream.Worker))
            {
                LogDropped(stream.Worker, StepReply.KindOneofCase.Result);
                return;
            }
            if (result.StepId == step.Id) Remove(step);
        }
        Measure(stream, result.StepId, result.Timings);
        try
        {
            if (result.StepId > step.Id) throw new InvalidMessageException($"step {result.StepId} came back before step {step.Id}");
            step.Return(new StepReturn.Completed(result.ToResults(step.Step, _options.VocabularySize)));
        }
        catch (InvalidMessageException e)
        {
            var failure = stream.Worker.Failed(e.Message);
            Abort(failure);
            step.Return(new StepReturn.Lost(failure));
        }
    }

    void OnDone(StepStream stream, StepDone done)
    {
        StepInFlight? over;
        lock (_lock)
        {
            over = _inFlight.Ending(done.StepId, stream.Worker);
            if (over is not null) Remove(over);
        }
        Measure(stream, done.StepId, done.Timings);
        over?.Return(new StepReturn.Completed([.. over.Step.Chunks.Select(_ => ChunkResult.Empty)]));
    }

    void Measure(StepStream stream, ulong stepId, StepTimings? timings)
    {
        TimeSpan roundTrip;
        lock (_lock)
        {
            stream.DoneUpTo = Math.Max(stream.DoneUpTo, stepId);
            roundTrip = _inFlight.Since(stepId);
        }
        if (timings is null) return;
        _metrics.Stages.Ran(_options.Replica, stream.Worker.Stage, stream.Worker.Rank, timings, roundTrip);
        if (Samples(stream.Worker)) _metrics.StepTook(_options.Replica, roundTrip);
    }

    /// <summary>The step is over. If it was the oldest one under way, another one is now, and its time begins. Guarded by the lock.</summary>
    void Remove(StepInFlight step)
    {
        if (!_inFlight.Remove(step)) return;
        if (_inFlight.Oldest is null) StopDeadline();
        else RestartDeadline();
    }

    void OnFailed(StageWorker worker, StepFailed failed)
    {
        var failure = worker.Failed($"{failed.Reason}: {failed.Message.ReplaceLineEndings(" ")}") with
        {
            IsStepError = failed.Reason is StepFailed.Types.Reason.BadStep or StepFailed.Types.Reason.Internal,
        };
        if (failed.Reason != StepFailed.Types.Reason.PeerLost)
        {
            Abort(failure);
            return;
        }
        lock (_lock)
        {
            if (_suspicion is not null) return;
            _suspicion = failure with { IsConnectionOnly = true };
            _blame.Change(_options.Deadlines.Blame, Timeout.InfiniteTimeSpan);
        }
    }

    bool Samples(StageWorker worker) => worker.Stage == StageCount - 1 && worker.Rank == 0;

    void OnBlameDue() => Abort(_suspicion!);

    /// <summary>
    /// The timer has fired. Its step may have returned in the meantime, so the age of the step that is the oldest now is what counts, without the
    /// time in which this process was frozen.
    /// </summary>
    void OnStepLate()
    {
        PipelineFailure failure;
        lock (_lock)
        {
            if (_inFlight.Oldest is not { } oldest) return;
            var left = _pulse.Left(_options.Deadlines.Step, oldest.OldestSince);
            if (left > TimeSpan.Zero)
            {
                _stepDeadline.Change(left, Timeout.InfiniteTimeSpan);
                return;
            }
            var late = _streams.FirstOrDefault(stream => stream.DoneUpTo < oldest.Id && oldest.HasPart(stream.Worker))
                ?? _streams.First(stream => stream.Worker.Stage == oldest.LastStage);
            failure = late.Worker.Lost($"it has not answered step {oldest.Id} for {_options.Deadlines.Step.TotalSeconds:0.###} s");
        }
        Abort(failure);
    }

    void RestartDeadline()
    {
        _inFlight.Oldest!.OldestSince = _time.GetTimestamp();
        _stepDeadline.Change(_options.Deadlines.Step, Timeout.InfiniteTimeSpan);
    }

    void StopDeadline() => _stepDeadline.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion} is over: {Reason}")]
    partial void LogFailed(ulong viewVersion, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Dropped a {Kind} of {Worker} that nothing waits for")]
    partial void LogDropped(StageWorker worker, StepReply.KindOneofCase kind);
}

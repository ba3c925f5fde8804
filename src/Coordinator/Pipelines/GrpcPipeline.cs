using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>
/// The workers of one view, over one stream each. A step is complete when the first rank of the last stage has sampled: it cannot do so
/// before all others have run it. Replies of other views and of steps that are not under way are dropped.
/// <para>
/// Failures are laid at the right door: a worker that says it lost another is believed only after a moment in which that other one may
/// be seen to be gone; a step that takes too long is the fault of the first stage that has not reported it done.
/// </para>
/// </summary>
public sealed partial class GrpcPipeline : IPipeline, IAsyncDisposable
{
    readonly PipelineOptions _options;
    readonly StageLink[] _links;
    readonly CoordinatorMetrics _metrics;
    readonly ILogger _logger;
    readonly ITimer _stepDeadline;
    readonly ITimer _blame;
    readonly TaskCompletionSource<PipelineFailure> _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);

    readonly Lock _lock = new();
    readonly Queue<StepInFlight> _inFlight = new();   // by _lock, as are the fields below
    ulong _lastStep;
    PipelineFailure? _failure;
    PipelineFailure? _suspicion;

    GrpcPipeline(PipelineOptions options, StageLink[] links, CoordinatorMetrics metrics, TimeProvider time, ILogger logger)
    {
        (_options, _links, _metrics, _logger) = (options, links, metrics, logger);
        _stepDeadline = time.CreateTimer(_ => OnStepLate(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _blame = time.CreateTimer(_ => OnBlameDue(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public ulong ViewVersion => _options.Plan.ViewVersion;

    public int StageCount => _options.Plan.StageCount;

    public int KvBlocks => _options.KvBlocks;

    public Task<PipelineFailure> Lost => _lost.Task;

    /// <summary>Opens the streams to all workers of a plan that they have loaded.</summary>
    public static async Task<PipelineOpening> OpenAsync(
        PipelineOptions options, PeerChannels channels, CoordinatorMetrics metrics, TimeProvider time, ILogger logger, CancellationToken cancellation)
    {
        using var deadline = new CancellationTokenSource(options.Deadlines.Open, time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        StageLink[] links = [.. options.Workers.Select(worker => new StageLink(worker, channels.Open(worker.Assignment.Address)))];
        var failures = await Task.WhenAll(links.Select(link => link.OpenAsync(options.Plan.ViewVersion, options.Plan.ModelDigest, ends.Token)));
        if (failures.OfType<PipelineFailure>().OrderByDescending(failure => failure.WorkerLost).FirstOrDefault() is { } failure)
        {
            foreach (var link in links) await link.DisposeAsync();
            cancellation.ThrowIfCancellationRequested();
            return new PipelineOpening.Failed(failure);
        }
        var pipeline = new GrpcPipeline(options, links, metrics, time, logger);
        foreach (var link in links) link.Start(pipeline.OnReply, pipeline.Abort);
        return new PipelineOpening.Opened(pipeline);
    }

    public Task<StepReturn> ExecuteAsync(ScheduledStep step)
    {
        lock (_lock)
        {
            if (_failure is not null) return Task.FromResult<StepReturn>(new StepReturn.Lost(_failure));
            var pending = new StepInFlight(++_lastStep, step);
            _inFlight.Enqueue(pending);
            if (_inFlight.Count == 1) StartDeadline();
            if (step.Ended.Count > 0) End(step.Ended);
            foreach (var history in StepMessages.HistoriesOf(step, ViewVersion))
                foreach (var link in _links.Where(link => link.Worker.Stage == StageCount - 1)) link.Send(history);
            var requests = StepMessages.Of(step, ViewVersion, pending.Id, StageCount);
            foreach (var link in _links) link.Send(requests[link.Worker.Stage]);
            return pending.Returned;
        }
    }

    public void End(IReadOnlyList<ulong> sequences)
    {
        var request = new StepRequest { Ended = new SequencesEnded { ViewVersion = ViewVersion, SequenceIds = { sequences } } };
        lock (_lock)
            foreach (var link in _links) link.Send(request);
    }

    public void Abort(PipelineFailure failure)
    {
        StepInFlight[] waiting;
        lock (_lock)
        {
            if (_failure is not null) return;
            _failure = failure;
            waiting = [.. _inFlight];
            _inFlight.Clear();
            StopDeadline();
        }
        LogFailed(ViewVersion, failure.Message);
        foreach (var step in waiting) step.Return(new StepReturn.Lost(failure));
        _lost.TrySetResult(failure);
    }

    public async ValueTask DisposeAsync()
    {
        Abort(new PipelineFailure(null, WorkerLost: false, $"view {ViewVersion} was closed"));
        foreach (var link in _links) await link.DisposeAsync();
        await _stepDeadline.DisposeAsync();
        await _blame.DisposeAsync();
    }

    void OnReply(StageLink link, StepReply reply)
    {
        switch (reply)
        {
            case { Result: { } result } when result.ViewVersion == ViewVersion: OnResult(link, result); break;
            case { Done: { } done } when done.ViewVersion == ViewVersion: OnDone(link, done.StepId, done.Timings); break;
            case { Failed: { } failed }: OnFailed(link.Worker, failed); break;
            default: LogDropped(link.Worker, reply.KindCase); break;
        }
    }

    void OnResult(StageLink link, StepResult result)
    {
        StepInFlight? step;
        lock (_lock)
        {
            if (!_inFlight.TryPeek(out step) || result.StepId < step.Id || !Samples(link.Worker))
            {
                LogDropped(link.Worker, StepReply.KindOneofCase.Result);
                return;
            }
            if (result.StepId == step.Id) _inFlight.Dequeue();
            if (_inFlight.Count == 0) StopDeadline();
            else StartDeadline();
        }
        OnDone(link, result.StepId, result.Timings);
        try
        {
            if (result.StepId > step.Id) throw new InvalidMessageException($"step {result.StepId} came back before step {step.Id}");
            step.Return(new StepReturn.Completed(result.ToResults(step.Step, _options.VocabularySize)));
        }
        catch (InvalidMessageException e)
        {
            var failure = link.Worker.Failed(e.Message);
            Abort(failure);
            step.Return(new StepReturn.Lost(failure));
        }
    }

    void OnDone(StageLink link, ulong stepId, StepTimings? timings)
    {
        lock (_lock) link.DoneUpTo = Math.Max(link.DoneUpTo, stepId);
        if (timings is not null) _metrics.StageRan(link.Worker.Stage, link.Worker.Rank, timings);
    }

    void OnFailed(StageWorker worker, StepFailed failed)
    {
        var failure = worker.Failed($"{failed.Reason}: {failed.Message.ReplaceLineEndings(" ")}");
        if (failed.Reason != StepFailed.Types.Reason.PeerLost)
        {
            Abort(failure);
            return;
        }
        lock (_lock)
        {
            if (_suspicion is not null) return;
            _suspicion = failure;
            _blame.Change(_options.Deadlines.Blame, Timeout.InfiniteTimeSpan);
        }
    }

    bool Samples(StageWorker worker) => worker.Stage == StageCount - 1 && worker.Rank == 0;

    void OnBlameDue() => Abort(_suspicion!);

    void OnStepLate()
    {
        PipelineFailure failure;
        lock (_lock)
        {
            if (!_inFlight.TryPeek(out var oldest)) return;
            var late = _links.First(link => link.DoneUpTo < oldest.Id).Worker;
            failure = late.Lost($"it has not answered step {oldest.Id} for {_options.Deadlines.Step.TotalSeconds:0.###} s");
        }
        Abort(failure);
    }

    void StartDeadline() => _stepDeadline.Change(_options.Deadlines.Step, Timeout.InfiniteTimeSpan);

    void StopDeadline() => _stepDeadline.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    sealed class StepInFlight(ulong id, ScheduledStep step)
    {
        readonly TaskCompletionSource<StepReturn> _returned = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ulong Id => id;

        public ScheduledStep Step => step;

        public Task<StepReturn> Returned => _returned.Task;

        public void Return(StepReturn how) => _returned.TrySetResult(how);
    }
}

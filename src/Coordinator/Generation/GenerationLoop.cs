using System.Threading.Channels;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Planning.Plans;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Generation;

/// <summary>
/// The engine's heart: update with what has happened, schedule, execute, again. One task owns all sequences; everybody else sends it
/// messages, and nothing it does waits for anybody. It lives as long as the process, with one pipeline after the other.
/// </summary>
public sealed partial class GenerationLoop(EngineOptions options, ModelIdentity model, CoordinatorMetrics metrics, ILogger<GenerationLoop> logger)
{
    /// <summary>Tokens guessed for a stream at a time.</summary>
    const int MostDrafted = 7;

    const string Again = "send the request again once /ready says yes";

    // As long as there are open requests, steps in flight and views: its readers do no work that waits.
    readonly Channel<LoopMessage> _inbox = Channel.CreateUnbounded<LoopMessage>(new UnboundedChannelOptions { SingleReader = true });
    readonly Dictionary<ulong, SequenceStream> _open = [];
    IPipeline? _pipeline;
    StepScheduler? _scheduler;
    Task _lastReturn = Task.CompletedTask;
    ulong _lastSequence;
    string? _refusal = "no model is loaded yet";
    TaskCompletionSource? _drained;

    /// <summary>Runs until cancelled; then every sequence that is open fails, and so does every later one.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        try
        {
            while (await _inbox.Reader.WaitToReadAsync(stopping))
                Turn();
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            LogStopped(_open.Count);
        }
        finally
        {
            _inbox.Writer.TryComplete();
            Leave("the coordinator is stopping");
            while (_inbox.Reader.TryRead(out var message)) Update(message);
        }
    }

    void Turn()
    {
        try
        {
            while (_inbox.Reader.TryRead(out var message)) Update(message);
            if (_pipeline is null || _scheduler is null) return;
            while (_scheduler.Schedule() is { } step)
                _lastReturn = AwaitAsync(_pipeline, step, _pipeline.ExecuteAsync(step), before: _lastReturn);
            if (_scheduler.TakeEnded() is { Count: > 0 } ended) _pipeline.End(ended);
            metrics.Observe(_scheduler);
        }
        catch (Exception e)
        {
            // A bug must not leave anybody waiting: it costs this view and its sequences, and the next one begins anew.
            LogBroke(e);
            var reason = $"the generation loop failed ({e.GetType().Name})";
            _pipeline?.Abort(new PipelineFailure(null, WorkerLost: false, reason));
            Leave(reason);
        }
    }

    void Update(LoopMessage message)
    {
        switch (message)
        {
            case LoopMessage.Submitted { Stream: var stream }: Submit(stream); break;
            case LoopMessage.Cancelled { Stream: var stream }: Cancel(stream); break;
            case LoopMessage.StepReturned returned when returned.Pipeline == _pipeline: Return(returned); break;
            case LoopMessage.Attached { Pipeline: var pipeline }: Take(pipeline); break;
            case LoopMessage.Detached detached when detached.Pipeline == _pipeline: Leave(detached.Reason); break;
            case LoopMessage.Draining draining: (_refusal, _drained) = (draining.Reason, draining.Drained); break;
        }
        if (_open.Count == 0) _drained?.TrySetResult();
    }

    /// <summary>Steps are taken in in the order they were given out, though the tasks that await them may run in any.</summary>
    async Task AwaitAsync(IPipeline pipeline, ScheduledStep step, Task<StepReturn> returned, Task before)
    {
        var how = await returned;
        await before;
        _inbox.Writer.TryWrite(new LoopMessage.StepReturned(pipeline, step, how));
    }

    void Return(LoopMessage.StepReturned returned)
    {
        if (returned.How is not StepReturn.Completed completed)
        {
            Leave(((StepReturn.Lost)returned.How).Failure.Message);
            return;
        }
        metrics.StepReturned(returned.Step);
        foreach (var advance in _scheduler!.Complete(returned.Step, completed.Results))
        {
            var id = advance.Sequence.Id;
            metrics.Generated(advance.Tokens.Count);
            _open[id].Report(advance);
            if (advance.Finished is not { } reason) continue;
            _open.Remove(id);
            metrics.SequenceEnded(reason == FinishReason.Stop ? "stop" : "length");
        }
    }
}

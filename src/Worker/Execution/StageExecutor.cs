using System.Diagnostics;
using System.Threading.Channels;
using Grpc.Core;
using LlamaCluster.Cluster.Plans;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Inference;
using LlamaCluster.Worker.Links;
using Microsoft.Extensions.Logging;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// Runs the steps of one view on a thread of its own, strictly in the order in which they came: takes the activations of the stage
/// before, runs the stage, hands the output to the stage after. A view ends once and for good, at the first failure or when its stream
/// does: the stage and its KV are gone then, the weights stay with the worker, and steps that still come are answered with the reason.
/// Going on takes a new view, since sequences that missed a step cannot.
/// </summary>
sealed partial class StageExecutor : IAsyncDisposable
{
    /// <summary>Far more than a coordinator has under way; then reading its stream stops.</summary>
    const int MaxQueued = 256;

    const int MaxReplies = 1024;

    readonly ulong _viewVersion;
    readonly IStage _stage;
    readonly ActivationSender? _next;
    readonly TimeSpan _timeout;
    readonly ILogger _logger;
    readonly StageQueue _queue = new(MaxQueued);
    readonly Channel<Wire.StepReply> _replies = Channel.CreateBounded<Wire.StepReply>(MaxReplies);
    readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    StepFailure? _ending;
    ulong _lastStep;
    int _opened;

    StageExecutor(ulong viewVersion, IStage stage, ActivationInbox? inbox, ActivationSender? next, TimeSpan timeout, ILogger logger)
    {
        (_viewVersion, _stage, Inbox, _next, _timeout, _logger) = (viewVersion, stage, inbox, next, timeout, logger);
        if (next is not null) next.Failed += OnLinkFailed;
    }

    /// <summary>Null on the first stage.</summary>
    public ActivationInbox? Inbox { get; }

    /// <summary>Goes on after the view has ended, with the reason as the answer to each step, until <see cref="CloseAsync"/>.</summary>
    public ChannelReader<Wire.StepReply> Replies => _replies.Reader;

    /// <param name="stage">Owned from now on: used by the executor's thread only, and disposed of when the view ends.</param>
    /// <param name="inbox">Null on the first stage.</param>
    /// <param name="next">The link to the stage after, owned too; null on the last stage.</param>
    /// <param name="timeout">How long activations may take to come.</param>
    public static StageExecutor Start(
        ulong viewVersion, IStage stage, ActivationInbox? inbox, ActivationSender? next, TimeSpan timeout, ILogger logger)
    {
        var executor = new StageExecutor(viewVersion, stage, inbox, next, timeout, logger);
        new Thread(executor.Work) { IsBackground = true, Name = $"stage of view {viewVersion}" }.Start();
        return executor;
    }

    /// <summary>A view has one stream of steps. False if it had it already.</summary>
    public bool TryOpen() => Interlocked.Exchange(ref _opened, 1) == 0;

    /// <summary>Connects to the next stage, if there is one. Null when steps can come.</summary>
    public async Task<StepFailure?> ConnectAsync(CancellationToken cancellation)
    {
        if (_next is null) return null;
        try
        {
            await _next.ConnectAsync(cancellation);
            return null;
        }
        catch (Exception e) when (_ending is not null && e is ObjectDisposedException or OperationCanceledException)
        {
            return _ending;
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return new StepFailure(Reason.PeerLost, $"cannot reach the next stage at {PeerAddress.Format(_next.Address)}: {RpcProblem.Describe(e)}");
        }
    }

    public async ValueTask SubmitAsync(StageWork work, CancellationToken cancellation)
    {
        if (!await _queue.AddAsync(work, cancellation)) Perform(work);
    }

    /// <summary>The view is over. Steps that wait are answered with the reason; the one that runs, runs to its end.</summary>
    public void End(StepFailure reason)
    {
        if (Interlocked.CompareExchange(ref _ending, reason, null) is not null) return;
        Inbox?.Close(reason.Message);
        _next?.Close();
        _queue.Close();
    }

    /// <summary>Ends the view, waits for its thread, which may be in a step, and then ends the replies.</summary>
    public async Task CloseAsync(StepFailure reason)
    {
        End(reason);
        await _finished.Task;
        _replies.Writer.TryComplete();
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync(new StepFailure(Reason.StaleView, $"view {_viewVersion} was replaced"));
        if (_next is not null) await _next.DisposeAsync();
    }

    void Work()
    {
        while (_queue.TryTake(out var work)) Perform(work);
        _stage.Dispose();
        _finished.SetResult();
    }

    void Perform(StageWork work)
    {
        switch (work)
        {
            case StageWork.RunStep step: Answer(step.StepId, _ending ?? TryRun(step)); break;
            case StageWork.RefuseStep step: Answer(step.StepId, _ending ?? step.Failure); break;
            case StageWork.EndSequences ended when _ending is null:
                foreach (var id in ended.SequenceIds) _stage.End(id);
                break;
        }
    }

    void Answer(ulong stepId, StepFailure? failure)
    {
        if (failure is null) return;
        if (_ending is null) LogStepFailed(stepId, _viewVersion, failure.Reason, failure.Message);
        // What ended the view is also why a step that was under way did not end well.
        Reply(StepReplies.Failed(_viewVersion, stepId, _ending ?? failure));
        if (failure.Reason != Reason.StaleView) End(failure);
    }

    StepFailure? TryRun(StageWork.RunStep step)
    {
        if (step.StepId <= _lastStep) return new StepFailure(Reason.BadStep, $"step {step.StepId} came after step {_lastStep}");
        _lastStep = step.StepId;
        try
        {
            return Run(step);
        }
        catch (Exception e)
        {
            LogStepBroke(e, step.StepId, _viewVersion);
            return new StepFailure(Reason.Internal, $"{e.GetType().Name} in step {step.StepId}: see this worker's log");
        }
    }

    StepFailure? Run(StageWork.RunStep step)
    {
        var begun = Stopwatch.GetTimestamp();
        if (Inbox?.Take(step.StepId, _stage.Input(step.Rows), _timeout) is { } missing) return missing;
        var arrived = Stopwatch.GetTimestamp();
        var outcome = _stage.Run(step.Step);
        var timings = StepReplies.Timings(step.Rows, begun, arrived, Stopwatch.GetTimestamp());
        return outcome switch
        {
            StepOutcome.Completed completed => Deliver(step, completed.Samples, timings),
            StepOutcome.Refused refused => new StepFailure(Reason.BadStep, refused.Reason),
            StepOutcome.Failed failed => new StepFailure(Reason.Internal, failed.Reason),
            _ => throw new InvalidOperationException($"unknown outcome {outcome}"),
        };
    }

    StepFailure? Deliver(StageWork.RunStep step, IReadOnlyList<SequenceSamples> samples, Wire.StepTimings timings)
    {
        if (_next is null) Reply(StepReplies.Result(_viewVersion, step.StepId, samples, timings));
        else if (_next.Post(step.StepId, step.Rows, _stage.Output) is { } problem) return new StepFailure(Reason.PeerLost, problem);
        else Reply(StepReplies.Done(_viewVersion, step.StepId, timings));
        return null;
    }

    void OnLinkFailed(ulong stepId, string problem) => Answer(stepId, new StepFailure(Reason.PeerLost, problem));

    void Reply(Wire.StepReply reply)
    {
        if (!_replies.Writer.TryWrite(reply) && _ending is null)
            End(new StepFailure(Reason.Internal, $"the coordinator left {MaxReplies} replies unread"));
    }
}

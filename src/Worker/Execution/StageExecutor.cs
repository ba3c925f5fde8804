using System.Diagnostics;
using System.Threading.Channels;
using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Links;
using LlamaCluster.Worker.Links.Peers;
using LlamaCluster.Worker.Links.Ranks;
using Microsoft.Extensions.Logging;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// Runs the steps of one view on a thread of its own, strictly in the order in which they came: takes the activations of the stage
/// before, runs the stage, together with the other ranks that share it, hands the output to the stage after. A view ends once and for good, at the first failure or when its stream
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
    readonly IReadOnlyList<ActivationSender> _next;
    readonly TimeSpan _timeout;
    readonly ILogger _logger;
    readonly StageQueue _queue = new(MaxQueued);
    readonly Channel<Wire.StepReply> _replies = Channel.CreateBounded<Wire.StepReply>(MaxReplies);
    readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    StepFailure? _ending;
    ulong _lastStep;
    int _opened;

    StageExecutor(ulong viewVersion, IStage stage, StageLinks links, TimeSpan timeout, ILogger logger)
    {
        (_viewVersion, _stage, Inbox, Group, _next, _timeout, _logger) = (viewVersion, stage, links.Inbox, links.Group, links.Next, timeout, logger);
        foreach (var next in _next) next.Failed += OnLinkFailed;
    }

    /// <summary>Null on the first stage.</summary>
    public ActivationInbox? Inbox { get; }

    /// <summary>Null where this worker has the stage to itself.</summary>
    public RankGroup? Group { get; }

    /// <summary>Goes on after the view has ended, with the reason as the answer to each step, until <see cref="CloseAsync"/>.</summary>
    public ChannelReader<Wire.StepReply> Replies => _replies.Reader;

    /// <param name="stage">Owned from now on: used by the executor's thread only, and disposed of when the view ends.</param>
    /// <param name="links">Owned too.</param>
    /// <param name="timeout">How long activations may take to come.</param>
    public static StageExecutor Start(ulong viewVersion, IStage stage, StageLinks links, TimeSpan timeout, ILogger logger)
    {
        var executor = new StageExecutor(viewVersion, stage, links, timeout, logger);
        new Thread(executor.Work) { IsBackground = true, Name = $"stage of view {viewVersion}" }.Start();
        return executor;
    }

    /// <summary>A view has one stream of steps. False if it had it already.</summary>
    public bool TryOpen() => Interlocked.Exchange(ref _opened, 1) == 0;

    /// <summary>Connects to the next stage, if there is one, and to the other ranks of this one. Null when steps can come.</summary>
    public async Task<StepFailure?> ConnectAsync(CancellationToken cancellation)
    {
        var connecting = _next.Select(next => ConnectAsync(next, cancellation)).Append(ConnectAsync(Group, cancellation));
        return (await Task.WhenAll(connecting)).OfType<StepFailure>().FirstOrDefault();
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
        Group?.Close(reason.Message);
        foreach (var next in _next) next.Close();
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
        foreach (var next in _next) await next.DisposeAsync();
        if (Group is not null) await Group.DisposeAsync();
    }

    async Task<StepFailure?> ConnectAsync(ActivationSender next, CancellationToken cancellation)
    {
        try
        {
            await next.ConnectAsync(cancellation);
            return null;
        }
        catch (Exception e) when (_ending is not null && e is ObjectDisposedException or OperationCanceledException)
        {
            return _ending;
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return new StepFailure(Reason.PeerLost, $"cannot reach the next stage at {PeerAddress.Format(next.Address)}: {RpcProblem.Describe(e)}");
        }
    }

    async Task<StepFailure?> ConnectAsync(RankGroup? group, CancellationToken cancellation)
    {
        if (group is null) return null;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(RpcSettings.CallDeadline);
        try
        {
            await group.ConnectAsync(deadline.Token);
            return null;
        }
        catch (Exception e) when (e is RpcException or PeerLinkException or InvalidMessageException or IOException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return _ending ?? new StepFailure(Reason.PeerLost, $"cannot link to the other ranks of the stage: {RpcProblem.Describe(e)}");
        }
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
        catch (RankLostException e)
        {
            return new StepFailure(Reason.PeerLost, e.Message);
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
        Group?.Exchange.BeginStep(step.StepId);
        var outcome = _stage.Run(step.Step);
        var timings = StepReplies.Timings(step.Rows, begun, arrived, Stopwatch.GetTimestamp(), Group?.Exchange);
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
        foreach (var next in _next)
        {
            if (next.Post(step.StepId, step.Rows, _stage.Output) is { } problem) return new StepFailure(Reason.PeerLost, problem);
            timings.ActivationBytes += (ulong)next.LastBytes;
        }
        // Before the network's threads run: what they find of the links comes after the answer.
        Reply(_stage.Shape.HasHead && (Group is null || Group.Shape.Rank == 0)
            ? StepReplies.Result(_viewVersion, step.StepId, samples, timings)
            : StepReplies.Done(_viewVersion, step.StepId, timings));
        LetNetworkRun();
        return null;
    }

    /// <summary>
    /// Where this thread has a processor to itself and the network's threads have the same one, they would wait for a whole slice of the next
    /// step, and everybody else for what this one gave.
    /// </summary>
    static void LetNetworkRun() => Thread.Yield();

    void OnLinkFailed(ulong stepId, string problem) => Answer(stepId, new StepFailure(Reason.PeerLost, problem));

    void Reply(Wire.StepReply reply)
    {
        if (!_replies.Writer.TryWrite(reply) && _ending is null)
            End(new StepFailure(Reason.Internal, $"the coordinator left {MaxReplies} replies unread"));
    }
}

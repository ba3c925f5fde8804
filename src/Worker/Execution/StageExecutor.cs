using System.Diagnostics;
using System.Threading.Channels;
using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Ranks;
using Microsoft.Extensions.Logging;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// Runs the steps of one view on a thread of its own, strictly in the order in which they came. A step takes the activations of the stage
/// before, runs the stage together with the other ranks that share it, and hands the output to the stage after.
/// <para>
/// A view ends once and for good, at the first failed step or with its stream. Then the stage and its KV are gone, the weights stay with the
/// worker, and steps that still come are answered with the reason. Going on takes a new view, because a sequence that missed a step cannot go
/// on. A sequence that fails alone does not end the view.
/// </para>
/// </summary>
sealed partial class StageExecutor : IAsyncDisposable
{
    /// <summary>Far more than a coordinator has under way. When the queue is full, its stream is not read any more.</summary>
    const int MaxQueued = 256;

    const int MaxReplies = 1024;

    readonly ulong _viewVersion;
    readonly IStage _stage;
    readonly IReadOnlyList<ActivationSender> _next;
    readonly TimeSpan _timeout;
    readonly ILogger _logger;
    readonly HandoverQueue<StageWork> _queue = new(MaxQueued);
    readonly Channel<Wire.StepReply> _replies = Channel.CreateBounded<Wire.StepReply>(MaxReplies);
    readonly LiveSequences _sequences = new();
    readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    StepFailure? _ending;
    ulong _lastStep;
    int _opened;

    StageExecutor(ulong viewVersion, IStage stage, StageConnections connections, BlockMover? blocks, TimeSpan timeout, ILogger logger)
    {
        (_viewVersion, _stage, Inbox, Group, _next, _timeout, _logger) = (viewVersion, stage, connections.Inbox, connections.Group, connections.Next, timeout, logger);
        foreach (var next in _next) next.Failed += OnStreamFailed;
        Blocks = blocks;
        blocks?.Start(Reply, work => SubmitAsync(work, CancellationToken.None).AsTask().GetAwaiter().GetResult());
    }

    /// <summary>Null on the first stage.</summary>
    public ActivationInbox? Inbox { get; }

    /// <summary>Null where this worker has the stage to itself.</summary>
    public RankGroup? Group { get; }

    /// <summary>To disk and back. Null where the worker keeps none there.</summary>
    public BlockMover? Blocks { get; }

    /// <summary>Goes on after the view has ended, with the reason as the answer to each step, until <see cref="CloseAsync"/>.</summary>
    public ChannelReader<Wire.StepReply> Replies => _replies.Reader;

    /// <param name="stage">Owned from now on: only the executor's thread uses it, and it is disposed of when the view ends.</param>
    /// <param name="connections">Owned too.</param>
    /// <param name="timeout">How long activations may take to come.</param>
    /// <param name="blocks">Of this stage; null: none are kept on disk.</param>
    public static StageExecutor Start(
        ulong viewVersion, IStage stage, StageConnections connections, TimeSpan timeout, ILogger logger, BlockMover? blocks = null)
    {
        var executor = new StageExecutor(viewVersion, stage, connections, blocks, timeout, logger);
        new Thread(executor.Work) { IsBackground = true, Name = $"stage of view {viewVersion}" }.Start();
        return executor;
    }

    /// <summary>A view has one stream of steps. False if it has had it.</summary>
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

    /// <summary>The view is over. Steps that wait are answered with the reason. The one that runs still runs to its end.</summary>
    public void End(StepFailure reason)
    {
        if (Interlocked.CompareExchange(ref _ending, reason, null) is not null) return;
        Inbox?.Close(reason.Message);
        Group?.Close(reason.Message);
        foreach (var next in _next) next.Close();
        Blocks?.Close();
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
            case StageWork.RunStep step when _ending is null: RunInScope(step); break;
            case StageWork.RunStep step: Answer(step.StepId, _ending); break;
            case StageWork.RefuseStep step: Answer(step.StepId, _ending ?? step.Failure); break;
            case StageWork.EndSequences ended when _ending is null:
                foreach (var id in ended.SequenceIds) End(id);
                break;
            case StageWork.MoveBlocks moves when _ending is null: Blocks!.Begin(moves); break;
            case StageWork.PutBack read: Blocks!.PutBack(read, isOpen: _ending is null); break;
            case StageWork.EndRestore ended: Blocks!.End(ended.Of); break;
        }
    }

    void End(ulong sequenceId)
    {
        _stage.End(sequenceId);
        _sequences.End(sequenceId);
    }

    void RunInScope(StageWork.RunStep step)
    {
        _sequences.Begin(step);
        using var activity = _sequences.StartActivity(_viewVersion, step);
        if (TryRun(step) is not { } failure) return;
        activity?.SetStatus(ActivityStatusCode.Error, failure.Message);
        using var requests = _logger.BeginRequestScope(_sequences.RequestIds(step.Step));
        Answer(step.StepId, failure);
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
            using var requests = _logger.BeginRequestScope(_sequences.RequestIds(step.Step));
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
            StepOutcome.Completed completed => Deliver(step, _sequences.WithProblems(step.Step, completed), timings),
            StepOutcome.Refused refused => new StepFailure(Reason.BadStep, refused.Reason),
            _ => throw new InvalidOperationException($"unknown outcome {outcome}"),
        };
    }

    StepFailure? Deliver(StageWork.RunStep step, StepOutcome.Completed outcome, Wire.StepTimings timings)
    {
        foreach (var failure in outcome.Failures) Log(failure);
        foreach (var next in _next)
        {
            if (next.Post(step.StepId, step.Rows, _stage.Output) is { } problem) return new StepFailure(Reason.PeerLost, problem);
            timings.ActivationBytes += (ulong)next.LastBytes;
        }
        // Replied before the network's threads run: what they then find out about the streams comes after the answer.
        Reply(_stage.Shape.HasHead && (Group is null || Group.Shape.Rank == 0)
            ? StepReplies.Result(_viewVersion, step.StepId, outcome, timings)
            : StepReplies.Done(_viewVersion, step.StepId, timings));
        LetNetworkRun();
        return null;
    }

    /// <summary>
    /// The network's threads may have the same processor as this one. Without a yield they would wait for a whole time slice of the next step,
    /// and the next stage would wait for this step's output.
    /// </summary>
    static void LetNetworkRun() => Thread.Yield();

    void Log(SequenceFailure failure)
    {
        if (!_sequences.IsNews(failure)) return;
        using var request = _logger.BeginRequestScope(_sequences.RequestId(failure.SequenceId));
        LogSequenceFailed(failure.SequenceId, _viewVersion, failure.Reason);
    }

    void OnStreamFailed(ulong stepId, string problem) => Answer(stepId, new StepFailure(Reason.PeerLost, problem));

    void Reply(Wire.StepReply reply)
    {
        if (!_replies.Writer.TryWrite(reply) && _ending is null)
            End(new StepFailure(Reason.Internal, $"the coordinator left {MaxReplies} replies unread"));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Step {StepId} of view {ViewVersion} failed: {Reason}, {Problem}")]
    partial void LogStepFailed(ulong stepId, ulong viewVersion, StepFailed.Types.Reason reason, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Sequence {SequenceId} of view {ViewVersion} cannot go on: {Problem}")]
    partial void LogSequenceFailed(ulong sequenceId, ulong viewVersion, string problem);

    [LoggerMessage(Level = LogLevel.Error, Message = "Step {StepId} of view {ViewVersion} broke")]
    partial void LogStepBroke(Exception exception, ulong stepId, ulong viewVersion);
}

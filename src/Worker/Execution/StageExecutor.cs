// Long because a view's thread is one story: what it is asked, what it answers, and how it ends.
using System.Diagnostics;
using System.Threading.Channels;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Activations;
using LlamaCluster.Worker.Measuring;
using LlamaCluster.Worker.Ranks;
using Microsoft.Extensions.Logging;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Execution;

/// <summary>
/// Runs the steps of one view on a thread of its own, strictly in the order in which they came. A step takes the activations of the stage
/// before, runs the stage together with the other ranks that share it, and hands the output to the stage after.
/// <para>
/// A view ends once and for good, at the first failed step or with its stream. Then the stage is gone, its weights and its KV stay with the
/// worker for a while, and steps that still come are answered with the reason. Going on takes a new view, because a sequence that missed a step cannot go
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
    readonly StageConnections _connections;
    readonly RanViews _before;
    readonly ActivationJournal? _journal;
    readonly TimeSpan _timeout;
    readonly WorkerMetrics? _metrics;
    readonly ILogger _logger;
    readonly HandoverQueue<StageWork> _queue = new(MaxQueued);
    readonly Channel<Wire.StepReply> _replies = Channel.CreateBounded<Wire.StepReply>(MaxReplies);
    readonly LiveSequences _sequences = new();
    readonly StepSpans _spans;
    readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    StepFailure? _ending;
    long _sent;   // when the last step's output had been handed to the streams, as a timestamp
    ulong _lastStep;
    ulong _lastRun;
    KeptKv? _kept;
    int _opened;

    StageExecutor(
        ulong viewVersion, IStage stage, StageConnections connections, BlockMover? blocks, TimeSpan timeout, WorkerMetrics? metrics, RanViews before,
        ActivationJournal? journal, ILogger logger)
    {
        (_viewVersion, _stage, _connections, _before, _journal) = (viewVersion, stage, connections, before, journal);
        (_timeout, _metrics, _logger) = (timeout, metrics, logger);
        _spans = new StepSpans(viewVersion, connections.Stage, Group?.Shape.Rank ?? 0);
        foreach (var next in connections.Next) next.Failed += OnStreamFailed;
        Blocks = blocks;
        blocks?.Start(Reply, work => SubmitAsync(work, CancellationToken.None).AsTask().GetAwaiter().GetResult());
    }

    /// <summary>Null on the first stage.</summary>
    public ActivationInbox? Inbox => _connections.Inbox;

    /// <summary>How long activations may take to come.</summary>
    public TimeSpan Timeout => _timeout;

    /// <summary>Null where this worker has the stage to itself.</summary>
    public RankGroup? Group => _connections.Group;

    /// <summary>To disk and back. Null where the worker keeps none there.</summary>
    public BlockMover? Blocks { get; }

    /// <summary>Goes on after the view has ended, with the reason as the answer to each step, until <see cref="CloseAsync"/>.</summary>
    public ChannelReader<Wire.StepReply> Replies => _replies.Reader;

    /// <param name="stage">Owned from now on: only the executor's thread uses it, and it is disposed of when the view ends.</param>
    /// <param name="connections">Owned too.</param>
    /// <param name="timeout">How long activations may take to come.</param>
    /// <param name="blocks">Of this stage; null: none are kept on disk.</param>
    /// <param name="metrics">Null: nothing is counted.</param>
    /// <param name="before">The views whose KV the stage goes on with; null: it has none from before.</param>
    /// <param name="journal">Of what the stage sends on, and the executor's alone until its thread has ended; null: nothing of that is kept.</param>
    public static StageExecutor Start(
        ulong viewVersion, IStage stage, StageConnections connections, TimeSpan timeout, ILogger logger, BlockMover? blocks = null,
        WorkerMetrics? metrics = null, RanViews? before = null, ActivationJournal? journal = null)
    {
        var executor = new StageExecutor(viewVersion, stage, connections, blocks, timeout, metrics, before ?? RanViews.None, journal, logger);
        new Thread(executor.Work) { IsBackground = true, Name = $"stage of view {viewVersion}" }.Start();
        return executor;
    }

    /// <summary>A view has one stream of steps. False if it has had it.</summary>
    public bool TryOpen() => Interlocked.Exchange(ref _opened, 1) == 0;

    /// <inheritdoc cref="StageConnections.ConnectAsync"/>
    public Task<StepFailure?> ConnectAsync(CancellationToken cancellation) => _connections.ConnectAsync(() => _ending, cancellation);

    public async ValueTask SubmitAsync(StageWork work, CancellationToken cancellation)
    {
        if (!await _queue.AddAsync(work, cancellation)) Perform(work);
    }

    /// <summary>The view is over. Steps that wait are answered with the reason. The one that runs still runs to its end.</summary>
    public void End(StepFailure reason)
    {
        if (Interlocked.CompareExchange(ref _ending, reason, null) is not null) return;
        _connections.Close(reason.Message);
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
        await _connections.DisposeAsync();
    }

    /// <summary>The KV of a view that is over. It is the caller's from now on. Null: there is none, or it was taken.</summary>
    public KeptKv? TakeKept() => Interlocked.Exchange(ref _kept, null);

    void Work()
    {
        while (_queue.TryTake(out var work)) Perform(work);
        _journal?.End(_viewVersion, _lastRun);
        if (_stage.Keep() is { } blocks) _kept = new KeptKv(blocks, _before.Then(new RanView(_viewVersion, _lastRun), blocks.States.AreInherited));
        _stage.Dispose();
        _finished.SetResult();
    }

    void Perform(StageWork work)
    {
        switch (work)
        {
            case StageWork.RunStep step when _ending is null: RunInScope(step); break;
            case StageWork.RunStep step: Answer(step.StepId, _ending); break;
            case StageWork.Replay replay: Answer(replay.StepId, _ending ?? TryRun(replay.StepId, replay)); break;
            case StageWork.RefuseStep step: Answer(step.StepId, _ending ?? step.Failure); break;
            case StageWork.EndSequences ended when _ending is null:
                foreach (var id in ended.SequenceIds) End(id);
                break;
            case StageWork.MoveBlocks moves when _ending is null: Blocks!.Begin(moves); break;
            case StageWork.PutBack read:
                Blocks!.PutBack(read, isOpen: _ending is null);
                _journal?.Forget(read.Block);
                break;
            case StageWork.EndRestore ended: Blocks!.End(ended.Of); break;
        }
    }

    void End(ulong sequenceId)
    {
        _stage.End(sequenceId);
        _sequences.End(sequenceId);
        _spans.End(sequenceId);
    }

    void RunInScope(StageWork.RunStep step)
    {
        _sequences.Begin(step);
        _spans.Begin(step.Requests);
        if (TryRun(step.StepId, step) is not { } failure) return;
        using var requests = _logger.BeginRequestScope(_sequences.RequestIds(step.Step));
        Answer(step.StepId, failure);
    }

    void Answer(ulong stepId, StepFailure? failure)
    {
        if (failure is null) return;
        _metrics?.StepFailed(failure.Reason);
        if (_ending is null) LogStepFailed(stepId, _viewVersion, failure.Reason, failure.Message);
        // What ended the view is also why a step that was under way did not end well.
        Reply(StepReplies.Failed(_viewVersion, stepId, _ending ?? failure));
        if (failure.Reason != Reason.StaleView) End(failure);
    }

    /// <param name="work">A step that the stage runs, or one whose rows it has in its journal.</param>
    StepFailure? TryRun(ulong stepId, StageWork work)
    {
        if (stepId <= _lastStep) return new StepFailure(Reason.BadStep, $"step {stepId} came after step {_lastStep}");
        _lastStep = stepId;
        var step = work as StageWork.RunStep;
        try
        {
            return step is null ? Send((StageWork.Replay)work) : Run(step);
        }
        catch (RankLostException e)
        {
            return new StepFailure(Reason.PeerLost, e.Message);
        }
        catch (Exception e)
        {
            using var requests = _logger.BeginRequestScope(step is null ? "" : _sequences.RequestIds(step.Step));
            LogStepBroke(e, stepId, _viewVersion);
            return new StepFailure(Reason.Internal, $"{e.GetType().Name} in step {stepId}: see this worker's log");
        }
    }

    StepFailure? Run(StageWork.RunStep step)
    {
        var begun = Stopwatch.GetTimestamp();
        if (Inbox?.Take(step.StepId, _stage.Input(step.Rows), _timeout) is { } missing) return missing;
        var arrived = Stopwatch.GetTimestamp();
        Group?.Exchange.BeginStep(step.StepId);
        var outcome = _stage.Run(step.Step);
        var computed = _sent = Stopwatch.GetTimestamp();
        if (outcome is StepOutcome.Completed)
        {
            _journal?.Add(step.Step, _stage);   // also where the rows cannot be sent: the step counts as run
            _lastRun = step.StepId;
        }
        var timings = StepReplies.Timings(step.Rows, begun, arrived, computed, Group?.Exchange);
        var failure = outcome switch
        {
            StepOutcome.Completed completed => Deliver(step, _sequences.WithProblems(step.Step, completed), timings),
            StepOutcome.Refused refused => new StepFailure(Reason.BadStep, refused.Reason),
            _ => throw new InvalidOperationException($"unknown outcome {outcome}"),
        };
        _metrics?.StepRan(timings, Stopwatch.GetElapsedTime(computed, _sent));
        _spans.Ran(step, new StepMoments(begun, arrived, computed, _sent, Group?.Exchange.Spent ?? TimeSpan.Zero), failure?.Message);
        return failure;
    }

    StepFailure? Deliver(StageWork.RunStep step, StepOutcome.Completed outcome, Wire.StepTimings timings)
    {
        foreach (var failure in outcome.Failures) Log(failure);
        var rows = step.Step.RowsBeyond(_stage.Shape.EndLayer);
        if (rows > 0 && Post(step.StepId, rows, _stage.Output, timings) is { } lost) return lost;
        // Replied before the network's threads run: what they then find out about the streams comes after the answer.
        Reply(_stage.Shape.HasHead && (Group is null || Group.Shape.Rank == 0)
            ? StepReplies.Result(_viewVersion, step.StepId, outcome, timings)
            : StepReplies.Done(_viewVersion, step.StepId, timings));
        LetNetworkRun();
        return null;
    }

    /// <summary>Sends rows of the journal to the next stage. Between two steps the stage's buffer is free for them.</summary>
    StepFailure? Send(StageWork.Replay replay)
    {
        var begun = Stopwatch.GetTimestamp();
        var rows = _stage.Input(replay.Rows);
        // A rank that feeds none of the next stage's has nothing to send.
        if (_connections.Next.Count > 0)
        {
            if (_journal is null) return new StepFailure(Reason.BadStep, "rows of a journal are asked for, and there is none");
            if (_journal.Read(replay.Chunks, rows) is { } problem) return new StepFailure(Reason.Internal, problem);
        }
        var timings = StepReplies.Timings(0, begun, Stopwatch.GetTimestamp(), Stopwatch.GetTimestamp(), null);
        if (Post(replay.StepId, replay.Rows, rows, timings) is { } lost) return lost;
        _lastRun = replay.StepId;
        Reply(StepReplies.Done(_viewVersion, replay.StepId, timings));
        LetNetworkRun();
        return null;
    }

    StepFailure? Post(ulong stepId, int rows, ReadOnlySpan<float> output, Wire.StepTimings timings)
    {
        foreach (var next in _connections.Next)
        {
            if (next.Post(stepId, rows, output) is { } problem) return new StepFailure(Reason.PeerLost, problem);
            timings.ActivationBytes += (ulong)next.LastBytes;
            _sent = Stopwatch.GetTimestamp();
        }
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

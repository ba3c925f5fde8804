using Google.Protobuf;
using LlamaCluster.Cluster.Activations;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Peers;

namespace LlamaCluster.Worker.Activations;

/// <summary>
/// Where the activations of the stage before wait for their step. gRPC's threads add frames. The stage's own thread takes whole steps, in the
/// order in which they run; where there is a direct connection, it reads them there itself. Frames of steps that were already taken or given up are dropped.
/// <para>
/// The inbox holds at most <see cref="ActivationShape.MaxSteps"/> steps. Adding one more waits, and flow control then makes the sender wait too.
/// </para>
/// </summary>
sealed class ActivationInbox(ActivationShape shape) : IAsyncDisposable
{
    readonly object _changed = new();
    readonly Dictionary<ulong, ArrivingStep> _steps = [];
    readonly CancellationTokenSource _closing = new();
    TaskCompletionSource _room = NewRoom();
    ulong _next;
    int _streams;
    bool _hadStream;
    string? _closed;
    StepLinkReceiver? _link;

    public ActivationShape Shape => shape;

    /// <summary>Cancelled when no step will be taken any more.</summary>
    public CancellationToken Closed => _closing.Token;

    /// <summary>A stream from the stage before begins.</summary>
    public void StreamOpened()
    {
        lock (_changed) (_streams, _hadStream) = (_streams + 1, true);
    }

    /// <summary>
    /// A stream ended. When none is left, steps that are not complete never will be, because the sender connects only once a view.
    /// </summary>
    public void StreamClosed()
    {
        lock (_changed)
        {
            if (--_streams == 0) _link?.Close($"stage {shape.FromStage} ended its stream");
            Monitor.PulseAll(_changed);
        }
    }

    /// <summary>Steps come on a direct connection from now on. False if there is one already, or the inbox is closed: the caller keeps the link then.</summary>
    public bool TryAttach(IPeerLink link)
    {
        lock (_changed)
        {
            if (_closed is not null || _link is not null) return false;
            _link = new StepLinkReceiver(link, shape);
            Monitor.PulseAll(_changed);
            return true;
        }
    }

    /// <summary>No step will be taken any more. Whoever waits is told why.</summary>
    public void Close(string reason)
    {
        lock (_changed)
        {
            _closed ??= reason;
            _steps.Clear();
            _link?.Close(reason);
            Monitor.PulseAll(_changed);
        }
        _closing.Cancel();
    }

    /// <returns>With <see cref="FrameVerdict.Refused"/>, why, in one line.</returns>
    public async Task<(FrameVerdict Verdict, string Refusal)> AddAsync(ActivationFrame frame, CancellationToken cancellation)
    {
        if (ActivationFrameRules.FirstProblem(frame, shape) is { } problem) return (FrameVerdict.Refused, problem);
        while (true)
        {
            Task room;
            lock (_changed)
            {
                if (_closed is { } reason) return (FrameVerdict.Refused, reason);
                if (frame.StepId < _next) return (FrameVerdict.StepComplete, "");
                if (_steps.ContainsKey(frame.StepId) || _steps.Count < shape.MaxSteps) return Add(frame);
                room = _room.Task;
            }
            await room.WaitAsync(cancellation);
        }
    }

    /// <summary>
    /// Waits for all rows of a step and decodes them into <paramref name="rows"/>. Steps are taken in ascending order. Earlier ones are given
    /// up.
    /// </summary>
    /// <param name="rows">[B, D].</param>
    /// <returns>Null when the rows are there. Else why they never will be.</returns>
    public StepFailure? Take(ulong stepId, Span<float> rows, TimeSpan timeout)
    {
        for (var byStream = false; ;)
        {
            ArrivingStep? step;
            StepLinkReceiver? link;
            lock (_changed)
            {
                GiveUpBefore(stepId);
                if (WaitFor(stepId, orLink: !byStream, timeout) is { } problem) return new StepFailure(StepFailed.Types.Reason.PeerLost, problem);
                (step, link) = (Complete(stepId), _link);
                if (step is not null) GiveUpBefore(stepId + 1);
            }
            if (step is not null) return step.Decode(shape, stepId, rows);
            if (TryReceive(link!, stepId, rows, out byStream) is { } failure) return failure;
            if (!byStream) return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        Close($"view {shape.ViewVersion} is over");
        if (_link is not null) await _link.DisposeAsync();
    }

    StepFailure? TryReceive(StepLinkReceiver link, ulong stepId, Span<float> rows, out bool byStream)
    {
        try
        {
            return link.Receive(stepId, rows, out byStream);
        }
        catch (PeerLinkException e)
        {
            byStream = false;
            lock (_changed)
                return new StepFailure(
                    StepFailed.Types.Reason.PeerLost, _closed ?? $"no activations of step {stepId} came from stage {shape.FromStage}: {e.Message}");
        }
    }

    ArrivingStep? Complete(ulong stepId) => _steps.TryGetValue(stepId, out var step) && step.IsComplete ? step : null;

    (FrameVerdict, string) Add(ActivationFrame frame)
    {
        if (!_steps.TryGetValue(frame.StepId, out var step)) _steps.Add(frame.StepId, step = new ArrivingStep((int)frame.TotalRows));
        if (step.Add(frame) is { } problem) return (FrameVerdict.Refused, problem);
        if (!step.IsComplete) return (FrameVerdict.Kept, "");
        Monitor.PulseAll(_changed);
        return (FrameVerdict.StepComplete, "");
    }

    /// <param name="orLink">A direct connection to read it from is enough.</param>
    string? WaitFor(ulong stepId, bool orLink, TimeSpan timeout)
    {
        var deadline = Environment.TickCount64 + (long)timeout.TotalMilliseconds;
        while (Complete(stepId) is null && !(orLink && _link is not null && _closed is null))
        {
            if (_closed is { } reason) return reason;
            if (_hadStream && _streams == 0) return $"stage {shape.FromStage} ended its stream before the activations of step {stepId} came";
            if (_steps.Any(other => other.Key > stepId && other.Value.IsComplete)) return $"stage {shape.FromStage} left step {stepId} out";
            var left = deadline - Environment.TickCount64;
            if (left <= 0 || !Monitor.Wait(_changed, (int)left))
                return $"no activations of step {stepId} came from stage {shape.FromStage} within {timeout.TotalSeconds:0.##} s";
        }
        return null;
    }

    void GiveUpBefore(ulong stepId)
    {
        _next = stepId;
        if (_steps.Count == 0) return;
        var full = _steps.Count >= shape.MaxSteps;
        foreach (var old in _steps.Keys.Where(id => id < stepId).ToArray())
            _steps.Remove(old);
        if (!full || _steps.Count >= shape.MaxSteps) return;
        _room.SetResult();
        _room = NewRoom();
    }

    static TaskCompletionSource NewRoom() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>What became of a frame that arrived.</summary>
enum FrameVerdict
{
    /// <summary>It is kept. More rows of its step must come.</summary>
    Kept,

    /// <summary>All rows of its step are here, or were before.</summary>
    StepComplete,

    Refused,
}

/// <summary>
/// The rows of one step as they arrive, frame by frame in row order. Payloads are kept as gRPC delivered them. They are decoded once, straight
/// to where the stage reads them.
/// </summary>
sealed class ArrivingStep(int totalRows)
{
    readonly List<ByteString> _payloads = [];

    public int TotalRows => totalRows;

    public int Rows { get; private set; }

    public bool IsComplete => Rows == totalRows;

    /// <summary>Takes a frame that keeps the rules, unless its rows are here already.</summary>
    /// <returns>Null, or one line if rows between the last frame and this one are missing.</returns>
    public string? Add(ActivationFrame frame)
    {
        if (frame.TotalRows != totalRows) return $"total_rows of step {frame.StepId} changed from {totalRows} to {frame.TotalRows}";
        if (frame.FirstRow > Rows) return $"step {frame.StepId} goes on with row {frame.FirstRow}, but rows from {Rows} are missing";
        if (frame.FirstRow < Rows) return null;
        _payloads.Add(frame.Payload);
        Rows += (int)frame.RowCount;
        return null;
    }

    /// <param name="rows">[TotalRows, D].</param>
    public StepFailure? Decode(ActivationShape shape, ulong stepId, Span<float> rows)
    {
        var expected = rows.Length / shape.HiddenSize;
        if (totalRows != expected) return StepFailure.WrongRows(shape, stepId, totalRows, expected);
        foreach (var payload in _payloads)
        {
            var values = payload.Length / shape.RowBytes * shape.HiddenSize;
            ActivationCodec.Decode(shape.Type, payload.Span, shape.HiddenSize, rows[..values]);
            rows = rows[values..];
        }
        return null;
    }
}

/// <summary>Why a step did not run, or its output did not arrive.</summary>
/// <param name="Message">One line for people.</param>
sealed record StepFailure(StepFailed.Types.Reason Reason, string Message)
{
    public static StepFailure WrongRows(ActivationShape shape, ulong stepId, long rows, int expected) =>
        new(StepFailed.Types.Reason.BadStep, $"stage {shape.FromStage} sent {rows} rows of step {stepId}, the plan has {expected}");
}

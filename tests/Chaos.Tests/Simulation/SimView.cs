// Long because it is a worker's part of a view from its first message to its last.
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Worker;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.Orders;
using static LlamaCluster.Protos.StepFailed.Types;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>Rows of a step on their way to the next stage.</summary>
sealed record SimFrame(ulong View, ulong Step, ulong[] Rows);

/// <summary>A worker's part of one view: takes steps in their order, waits for activations, computes, sends on, answers. It ends once, for good.</summary>
sealed class SimView
{
    public const string Activations = "/simulated/Activations";

    static readonly Method<SimFrame, SimFrame> SendActivations = Method("Activations");

    readonly SimCluster _cluster;
    readonly SimWorker _worker;
    readonly SimStage _stage;
    readonly Queue<StageWork> _queue = [];
    readonly Dictionary<ulong, ulong[]> _inbox = [];
    readonly Queue<Wire.StepReply> _replies = [];
    readonly CancellationTokenSource _over = new();
    TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly List<AsyncDuplexStreamingCall<SimFrame, SimFrame>> _next = [];
    readonly RanViews _before;
    readonly SimJournal? _journal;
    (Reason Reason, string Message)? _ending;
    ulong _lastStep, _lastRun, _lastReceived;
    bool _opened;

    /// <param name="kept">KV of earlier views, in layers of the shard, and which views' it is; null: none.</param>
    /// <param name="journal">The worker's; null: it has none.</param>
    public SimView(SimCluster cluster, SimWorker worker, LoadOrder order, int kvBlocks, SimKept? kept, RanViews before, SimJournal? journal)
    {
        (_cluster, _worker, Order, _before, _journal) = (cluster, worker, order, before, order.Next.Any() ? journal : null);
        Ranks = new SimRanks(this, worker);
        KvBlocks = Math.Min(kvBlocks, order.KvBlockCount ?? int.MaxValue);
        _stage = new SimStage(cluster.Model, order.Shape, new StageOptions
        {
            KvBlockCount = KvBlocks,
            MaxStepRows = order.MaxStepRows,
            MaxSequenceLength = order.MaxSequenceLength,
        }, kept, cluster.Simulator.Random);
        _journal?.Begin(order.Shape.EndLayer, KvBlocks, before);
    }

    /// <summary>What the worker says of its journal when the view begins.</summary>
    public ByteString JournalOf(KeptStates states) => _journal is null ? ByteString.Empty : ByteString.CopyFrom(_journal.WholeOf(states));

    /// <summary>What it says is left of it, and of which views that is. It has ended; null: nothing.</summary>
    public (SimKept Kept, RanViews Views)? Keep()
    {
        if (_stage.Keep() is not { } kept) return null;
        _journal?.End(Version, _lastRun);
        if (_cluster.Claim == KvClaim.True) return (kept, Views(_lastRun));
        return (kept with { States = kept.States with { From = [.. kept.States.From.Select(_ => kept.States.FirstLayer)] } }, Views(_lastReceived));

        RanViews Views(ulong last) => _before.Then(new RanView(Version, last), kept.States.AreInherited);
    }

    public LoadOrder Order { get; }

    public SimRanks Ranks { get; }

    /// <summary>Cancelled when it ends.</summary>
    public CancellationToken Over => _over.Token;

    public ulong Version => Order.Plan.ViewVersion;

    public int KvBlocks { get; }

    /// <summary>Sequences that it was not told to forget.</summary>
    public int KnownSequences => _stage.Known.Count;

    public static Wire.StepReply Failed(ulong view, ulong step, Reason reason, string message) =>
        new() { Failed = new Wire.StepFailed { ViewVersion = view, StepId = step, Reason = reason, Message = message } };

    public void End(Reason reason, string message)
    {
        _ending ??= (reason, message);
        _over.Cancel();
        Wake();
    }

    public void Take(SimFrame frame)
    {
        if (frame.Step > _lastStep) _inbox[frame.Step] = frame.Rows;
        Wake();
    }

    public async Task ServeAsync(SimServed<Wire.StepRequest, Wire.StepReply> call, CoordinatorSigns signs)
    {
        if (_opened) throw new RpcException(new Status(StatusCode.FailedPrecondition, "the view had its stream of steps"));
        _opened = true;
        PeerConnection[] connections = [.. Ranks.Call(), .. Order.Next.Select(next => Connect(next.Address))];
        while (!Ranks.AreLinked && _ending is null && !call.Cancelled.IsCancellationRequested) await ChangeAsync();
        await call.Responses.WriteAsync(new Wire.StepReply { Opened = new Wire.StepsOpened { ViewVersion = Version, Stage = (uint)Order.Assignment.Stage } });
        var (executing, replying) = (ExecuteAsync(), ReplyAsync(call));
        try
        {
            await ReadAsync(call, signs);
        }
        finally
        {
            End(Reason.StaleView, $"the coordinator ended view {Version}");
            await executing;
            await replying;
            foreach (var connection in connections) connection.Dispose();
            if (_worker.View == this) _worker.EndView("");
        }
    }

    PeerConnection Connect(Uri address)
    {
        var connection = _worker.Peers.Connect(address);
        var next = connection.Calls.AsyncDuplexStreamingCall(SendActivations, null, new CallOptions());
        _next.Add(next);
        _worker.Process.Begin(async () =>
        {
            try
            {
                while (await next.ResponseStream.MoveNext(_over.Token)) { }
                Break(0, Reason.PeerLost, "the next stage ended the stream of activations");
            }
            catch (Exception e) when (e is RpcException or OperationCanceledException)
            {
                if (!_over.IsCancellationRequested) Break(0, Reason.PeerLost, "the stream of activations broke");
            }
        });
        return connection;
    }

    async Task ReadAsync(SimServed<Wire.StepRequest, Wire.StepReply> call, CoordinatorSigns signs)
    {
        var histories = new HistoryParts(Order.MaxStepRows, Order.MaxSequenceLength);
        var grammars = new SequenceGrammars(SimModel.Vocabulary, Order.MaxStepRows);
        try
        {
            while (await call.Requests.MoveNext(_over.Token))
            {
                signs.Heard();
                if (call.Requests.Current is { History: { } part }) histories.Add(part);
                else _queue.Enqueue(call.Requests.Current switch
                {
                    { Step: { } step } => step.ToWork(Order.MaxStepRows, SimModel.Vocabulary, histories, grammars),
                    { Replay: { } replay } => replay.ToWork(Order.MaxStepRows),
                    { Ended: { } ended } => new StageWork.EndSequences(ended.SequenceIds),
                    var other => throw new InvalidOperationException($"unknown request {other}"),
                });
                if (call.Requests.Current.Step is { } received) _lastReceived = received.StepId;
                Wake();
            }
        }
        catch (Exception e) when (e is RpcException or OperationCanceledException)
        {
            // The view is over.
        }
    }

    async Task ReplyAsync(SimServed<Wire.StepRequest, Wire.StepReply> call)
    {
        while (!call.Cancelled.IsCancellationRequested)
        {
            while (_replies.TryDequeue(out var reply))
                if (call.Responses.WriteAsync(reply).IsFaulted) return;
            if (_over.IsCancellationRequested) return;
            await ChangeAsync();
        }
    }

    async Task ExecuteAsync()
    {
        while (_ending is null)
        {
            if (!_queue.TryDequeue(out var work)) await ChangeAsync();
            else if (work is StageWork.EndSequences ended)
                foreach (var id in ended.SequenceIds) _stage.End(id);
            else if (work is StageWork.Replay replay) Send(replay);
            else await RunAsync((StageWork.RunStep)work);
        }
        // A view that has ended answers what still comes with the reason.
        while (_ending is { Reason: not Reason.StaleView } why)
        {
            if (_queue.TryDequeue(out var work) && work is StageWork.RunStep step) Reply(Failed(Version, step.StepId, why.Reason, why.Message));
            else if (work is null && _over.IsCancellationRequested) return;
            else if (work is null) await ChangeAsync();
        }
    }

    async Task RunAsync(StageWork.RunStep work)
    {
        if (work.StepId <= _lastStep)
        {
            Break(work.StepId, Reason.BadStep, $"step {work.StepId} came after step {_lastStep}");
            return;
        }
        if (await InputAsync(work) is not { } input) return;
        Ranks.Begin(work.StepId);
        if (!await WaitAsync(() => Ranks.HaveBegun(work.StepId), () => $"another rank did not begin step {work.StepId}", work.StepId)) return;
        await _worker.Process.PassAsync(_cluster.Simulator.Random.Time(_worker.Machine.StepTime, 4 * _worker.Machine.StepTime));
        if (_ending is not null) return;
        _lastStep = work.StepId;
        if (Harm(work)) return;
        var outcome = _stage.Run(work.Step, Order.Shape.Embeds ? null : input, out var output);
        if (outcome is StepOutcome.Refused refused)
        {
            _cluster.Simulator.Fail($"{_worker.Process.Name} refused step {work.StepId} of view {Version}: {refused.Reason}");
            return;
        }
        _journal?.Add(work.Step, _stage, output);
        _lastRun = work.StepId;
        foreach (var next in output.Length > 0 ? _next : []) _ = next.RequestStream.WriteAsync(new SimFrame(Version, work.StepId, output));
        var timings = new Wire.StepTimings { Rows = (uint)work.Rows };
        Reply(Order.Shape.HasHead && Order.Assignment.Shard.Slice.Rank == 0
            ? StepReplies.Result(Version, work.StepId, (StepOutcome.Completed)outcome, timings)
            : StepReplies.Done(Version, work.StepId, timings));
    }

    /// <summary>Rows of the journal in place of computed ones.</summary>
    void Send(StageWork.Replay replay)
    {
        // A rank that feeds none of the next stage's has nothing to send.
        if ((Order.Next.Any() ? _journal?.Read(replay.Chunks) : []) is not { } rows)
        {
            _cluster.Simulator.Fail($"{_worker.Process.Name} is asked in view {Version} for rows that its journal does not have");
            return;
        }
        _lastStep = _lastRun = replay.StepId;
        _cluster.Replayed += rows.Length;
        foreach (var next in _next) _ = next.RequestStream.WriteAsync(new SimFrame(Version, replay.StepId, rows));
        Reply(StepReplies.Done(Version, replay.StepId, new Wire.StepTimings()));
    }

    /// <summary>A token of a prompt ends the worker, or fails the step.</summary>
    bool Harm(StageWork.RunStep work)
    {
        if (!Order.Shape.HasHead) return false;
        foreach (var chunk in work.Step.Chunks)
        {
            if (chunk.Tokens.Span.Contains(SimModel.BadToken))
            {
                _cluster.Checks.Fault();   // as good as taking the worker away, for whoever is in the step too
                Break(work.StepId, Reason.Internal, $"SomeException in step {work.StepId}: see this worker's log");
                return true;
            }
            if (!chunk.Tokens.Span.Contains(SimModel.DeadlyToken)) continue;
            _cluster.Kill(_worker, silently: false);
            return true;
        }
        return false;
    }

    async Task<ulong[]?> InputAsync(StageWork.RunStep work)
    {
        if (Order.Shape.Embeds) return [];
        ulong[]? rows = null;
        await WaitAsync(() => _inbox.Remove(work.StepId, out rows), () => $"no activations of step {work.StepId} came", work.StepId);
        return rows;
    }

    /// <returns>Whether the condition holds. If not, the view has ended.</returns>
    async Task<bool> WaitAsync(Func<bool> condition, Func<string> problem, ulong step)
    {
        var end = _worker.Process.Clock.GetTimestamp() + SimCluster.PeerTimeout.Ticks;
        using var late = _worker.Process.Clock.CreateTimer(_ => Wake(), null, SimCluster.PeerTimeout, Timeout.InfiniteTimeSpan);
        while (_ending is null)
        {
            if (condition()) return true;
            if (_worker.Process.Clock.GetTimestamp() >= end) Break(step, Reason.PeerLost, problem());
            else await ChangeAsync();
        }
        return false;
    }

    public void Break(ulong step, Reason reason, string message)
    {
        if (_ending is not null) return;
        Reply(Failed(Version, step, reason, message));
        _ending = (reason, message);
        Wake();
    }

    void Reply(Wire.StepReply reply)
    {
        _replies.Enqueue(reply);
        Wake();
    }

    Task ChangeAsync() => _changed.Task;

    public void Wake()
    {
        var changed = _changed;
        _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        changed.TrySetResult();
    }

    /// <summary>Of calls whose messages never become bytes.</summary>
    public static Method<SimFrame, SimFrame> Method(string name) => new(MethodType.DuplexStreaming, "simulated", name, Never<SimFrame>(), Never<SimFrame>());

    static Marshaller<T> Never<T>() => new((_, _) => throw new NotSupportedException(), _ => throw new NotSupportedException());
}

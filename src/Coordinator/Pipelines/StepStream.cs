using System.Threading.Channels;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Pipelines;

/// <summary>The stream of steps to one worker. Requests go out in the order in which they are sent.</summary>
sealed class StepStream : IAsyncDisposable
{
    readonly StageWorker _worker;
    readonly PeerConnection _connection;
    readonly CancellationTokenSource _closing = new();
    readonly AsyncDuplexStreamingCall<StepRequest, StepReply> _call;

    // Bounded by the steps in flight and the sequences that have ended since they were sent.
    readonly Channel<StepRequest> _outbox = Channel.CreateUnbounded<StepRequest>(new UnboundedChannelOptions { SingleReader = true });
    List<BlocksKept> _announced = [];
    Task _running = Task.CompletedTask;

    public StepStream(StageWorker worker, PeerConnection connection)
    {
        (_worker, _connection) = (worker, connection);
        _call = new Steps.StepsClient(connection.Calls).Run(worker.Key.ToHeaders(), cancellationToken: _closing.Token);
    }

    public StageWorker Worker => _worker;

    /// <summary>The last step that the worker has reported done. Guarded by the lock of the pipeline.</summary>
    public ulong DoneUpTo { get; set; }

    /// <summary>KV blocks that the worker can write to disk at a time; 0: it keeps none there.</summary>
    public int SpillsAtOnce { get; private set; }

    /// <summary>What the worker had on disk when it took up the stream. It is forgotten here.</summary>
    public IReadOnlyList<BlocksKept> TakeAnnounced() => Interlocked.Exchange(ref _announced, []);

    /// <summary>The handshake: makes sure that both sides mean the same shard of the same view and model.</summary>
    /// <returns>Null when the worker takes steps.</returns>
    public async Task<PipelineFailure?> OpenAsync(ulong viewVersion, string modelDigest, CancellationToken cancellation)
    {
        try
        {
            var open = new OpenSteps { ViewVersion = viewVersion, ModelDigest = modelDigest, WorkerId = _worker.Id.Value };
            // Writing to a call that is over fails in one of several ways; reading from it tells why it is over.
            await _call.RequestStream.WriteAsync(new StepRequest { Open = open }, cancellation)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            while (await _call.ResponseStream.MoveNext(cancellation))
                if (_call.ResponseStream.Current.Kept is { } kept) _announced.Add(kept);
                else return Problem(_call.ResponseStream.Current, viewVersion);
            return _worker.Failed("it ended the stream of steps at once");
        }
        catch (RpcException e)
        {
            return e.ToFailure(_worker);
        }
        catch (OperationCanceledException)
        {
            return _worker.Lost("it did not open its stream of steps in time");
        }
    }

    /// <param name="onReply">Called for one reply after the other.</param>
    /// <param name="onEnd">Called once, when the stream is over, whatever ended it.</param>
    public void Start(Action<StepStream, StepReply> onReply, Action<PipelineFailure> onEnd) => _running = RunAsync(onReply, onEnd);

    public void Send(StepRequest request) => _outbox.Writer.TryWrite(request);

    public async ValueTask DisposeAsync()
    {
        _closing.Cancel();
        await _running;
        _call.Dispose();
        _connection.Dispose();
        _closing.Dispose();
    }

    /// <summary>What is wrong with the answer to the handshake; null if nothing is.</summary>
    PipelineFailure? Problem(StepReply answer, ulong viewVersion)
    {
        switch (answer)
        {
            case { Opened: { } opened } when opened.ViewVersion == viewVersion && opened.Stage == _worker.Stage:
                SpillsAtOnce = (int)Math.Min(opened.SpillsAtOnce, int.MaxValue);
                return null;
            case { Opened: { } other }:
                return _worker.Failed($"it opened stage {other.Stage} of view {other.ViewVersion}, not stage {_worker.Stage} of view {viewVersion}");
            case { Failed: { } failed }:
                return _worker.Failed(failed.Message);
            default:
                return _worker.Failed($"it answered the handshake with {answer.KindCase}");
        }
    }

    async Task RunAsync(Action<StepStream, StepReply> onReply, Action<PipelineFailure> onEnd)
    {
        var (reading, writing) = (ReadAsync(onReply), WriteAsync());
        onEnd(await await Task.WhenAny(reading, writing));
        _closing.Cancel();
        await Task.WhenAll(reading, writing);
    }

    Task<PipelineFailure> ReadAsync(Action<StepStream, StepReply> onReply) => UntilBroken(async () =>
    {
        while (await _call.ResponseStream.MoveNext(_closing.Token)) onReply(this, _call.ResponseStream.Current);
    });

    Task<PipelineFailure> WriteAsync() => UntilBroken(async () =>
    {
        try
        {
            while (await _outbox.Reader.WaitToReadAsync(_closing.Token))
                while (_outbox.Reader.TryRead(out var request)) await _call.RequestStream.WriteAsync(request, _closing.Token);
        }
        catch (InvalidOperationException)
        {
            await Task.Delay(Timeout.Infinite, _closing.Token);   // the call is over: its reader knows why
        }
    });

    async Task<PipelineFailure> UntilBroken(Func<Task> work)
    {
        try
        {
            await work();
            return _worker.Failed("it ended the stream of steps");
        }
        catch (RpcException e)
        {
            return e.ToFailure(_worker);
        }
        catch (OperationCanceledException)
        {
            return _closing.IsCancellationRequested ? _worker.Failed("the stream of steps was closed") : _worker.Lost("its connection broke");
        }
        catch (IOException)
        {
            return _worker.Lost("its connection broke");   // a write only learns that the connection broke, not why
        }
        catch (Exception e)
        {
            // Whatever it is, the stream is dead, and whoever waits for steps must be told.
            return _worker.Failed($"the stream of steps broke: {e.GetType().Name}: {e.Message.ReplaceLineEndings(" ")}");
        }
    }
}

using System.Collections.Concurrent;
using System.Numerics;
using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Activations;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Peers;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Activations;

/// <summary>
/// The way to a worker of the next stage, for one view: a stream, and a direct connection beside it where there can be one. <see cref="Post"/> sends a
/// small step on the direct connection at once. Others it copies into a pooled buffer and returns, so that the stage computes the next step while this
/// one travels. The receiver acknowledges whole steps. At most <see cref="ActivationShape.MaxSteps"/> may be unacknowledged. The first error ends
/// both for good, and with them the view.
/// </summary>
/// <param name="caller">Sets up the direct connection.</param>
/// <param name="key">The view's, which the peer takes.</param>
/// <param name="timeout">The longest that the peer may take to accept a frame, or to acknowledge a step when no more may be under way.</param>
sealed class ActivationSender(PeerChannels channels, Uri address, ActivationShape shape, PeerKey key, TimeSpan timeout, StageCaller caller) : IAsyncDisposable
{
    /// <summary>One is filled, one is sent, and two may wait. More would only hide that the next stage is slower.</summary>
    public const int Buffers = 4;

    readonly GrpcChannel _channel = channels.Open(address);
    readonly ConcurrentBag<SendBuffer> _pool = [.. Enumerable.Range(0, Buffers).Select(_ => new SendBuffer())];
    readonly SemaphoreSlim _free = new(Buffers);
    readonly Channel<SendBuffer> _ready = Channel.CreateBounded<SendBuffer>(Buffers);
    readonly SemaphoreSlim _window = new(shape.MaxSteps);
    readonly ConcurrentQueue<ulong> _unacknowledged = [];
    readonly CancellationTokenSource _stopping = new();
    AsyncDuplexStreamingCall<Wire.ActivationFrame, Wire.ActivationAck>? _call;
    StageLink? _link;
    StepLinkSender? _steps;
    Task _running = Task.CompletedTask;
    string? _failure;

    /// <summary>Raised once if the stream breaks: the first step that may not have arrived (0: none was under way), and why, in one line.</summary>
    public event Action<ulong, string>? Failed;

    public Uri Address { get; } = address;

    /// <summary>Payload bytes of the step that was posted last. For the thread that posts.</summary>
    public long LastBytes { get; private set; }

    string Ended => _failure ?? $"the stream to {PeerAddress.Format(Address)} is closed";

    /// <summary>Opens the stream, waits until the peer has accepted it, and sets up the direct connection.</summary>
    /// <exception cref="RpcException">It cannot be reached, or refused.</exception>
    /// <exception cref="PeerLinkException">There must be a direct connection, and there is none.</exception>
    /// <exception cref="OperationCanceledException">It did not answer in time, or the caller gave up.</exception>
    public async Task ConnectAsync(CancellationToken cancellation)
    {
        var client = new Wire.Activations.ActivationsClient(_channel);
        _call = client.Send(key.ToHeaders(), cancellationToken: _stopping.Token);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(RpcSettings.CallDeadline);
        await _call.ResponseHeadersAsync.WaitAsync(deadline.Token);
        _running = Task.WhenAll(Guard(SendAsync(_call.RequestStream)), Guard(ReadAcksAsync(_call.ResponseStream)));
        _link = await caller.CallAsync(client, shape, key, Address, timeout, _stopping.Token, deadline.Token);
        if (_link is null) return;
        _steps = new StepLinkSender(_link.Link, shape);
        _stopping.Token.Register(() => _link.Link.Close(Ended));
        _running = Task.WhenAll(_running, Guard(WatchAsync(_link)));
    }

    /// <summary>
    /// Sends a step's output, or copies it and sends it in the background. The stage's thread calls this, and waits here while all buffers are in use.
    /// </summary>
    /// <param name="output">[rows, D].</param>
    /// <returns>Null when it is on its way. Else why it never will be, in one line.</returns>
    public string? Post(ulong stepId, int rows, ReadOnlySpan<float> output)
    {
        try
        {
            if (!_free.Wait(timeout, _stopping.Token)) return $"{PeerAddress.Format(Address)} took no activations for {timeout.TotalSeconds:0.##} s";
        }
        catch (OperationCanceledException)
        {
            return Ended;
        }
        if (!_pool.TryTake(out var buffer)) throw new InvalidOperationException("a free buffer was counted, but there is none");
        var payload = buffer.Begin(stepId, rows, shape.RowBytes);
        ActivationCodec.Encode(shape.Type, output, shape.HiddenSize, payload);
        LastBytes = payload.Length;
        try
        {
            if (_steps is not null && _steps.TrySend(stepId, rows, payload))
            {
                Release(buffer);
                return null;
            }
        }
        catch (PeerLinkException e)
        {
            Release(buffer);
            return _stopping.IsCancellationRequested ? Ended : $"activations to {PeerAddress.Format(Address)}: {e.Message}";
        }
        return _ready.Writer.TryWrite(buffer) ? null : throw new InvalidOperationException("there is room for every buffer, but one was not taken");
    }

    /// <summary>Ends the stream at once. Whoever waits in <see cref="Post"/> returns.</summary>
    public void Close() => _stopping.Cancel();

    public async ValueTask DisposeAsync()
    {
        Close();
        await _running;
        _call?.Dispose();
        if (_link is not null) await _link.DisposeAsync();
        _channel.Dispose();
    }

    async Task SendAsync(IClientStreamWriter<Wire.ActivationFrame> frames)
    {
        var perFrame = MessageBudgets.RowsPerFrame(shape.RowBytes);
        await foreach (var buffer in _ready.Reader.ReadAllAsync(_stopping.Token))
        {
            if (!await _window.WaitAsync(timeout, _stopping.Token)) throw new TimeoutException($"no step acknowledged for {timeout.TotalSeconds:0.##} s");
            _unacknowledged.Enqueue(buffer.StepId);
            for (var first = 0; first < buffer.Rows; first += perFrame)
                await frames.WriteAsync(Frame(buffer, first, Math.Min(perFrame, buffer.Rows - first)), _stopping.Token).WaitAsync(timeout);
            Release(buffer);
        }
    }

    void Release(SendBuffer buffer)
    {
        _pool.Add(buffer);
        _free.Release();
    }

    // The payload is the buffer itself. It has been written out when WriteAsync completes; only then is the buffer used again.
    Wire.ActivationFrame Frame(SendBuffer buffer, int first, int count) => new()
    {
        ViewVersion = shape.ViewVersion,
        StepId = buffer.StepId,
        FromStage = (uint)shape.FromStage,
        TotalRows = (uint)buffer.Rows,
        FirstRow = (uint)first,
        RowCount = (uint)count,
        HiddenSize = (uint)shape.HiddenSize,
        Type = shape.Type,
        Payload = UnsafeByteOperations.UnsafeWrap(buffer.RowsFrom(first, count, shape.RowBytes)),
    };

    async Task ReadAcksAsync(IAsyncStreamReader<Wire.ActivationAck> acks)
    {
        while (await acks.MoveNext(_stopping.Token))
        {
            var ack = acks.Current;
            if (ack.Refusal.Length > 0) throw new InvalidOperationException($"step {ack.StepId} refused: {ack.Refusal}");
            if (!_unacknowledged.TryPeek(out var oldest) || oldest != ack.StepId) continue;
            _unacknowledged.TryDequeue(out _);
            _window.Release();
        }
        throw new IOException("it ended the stream");
    }

    async Task WatchAsync(StageLink link)
    {
        await link.EndedAsync(_stopping.Token);
        throw new IOException("it ended the stream");
    }

    async Task Guard(Task loop)
    {
        try
        {
            await loop;
        }
        catch (Exception e)
        {
            if (!_stopping.IsCancellationRequested) Fail(RpcProblem.Describe(e));
        }
    }

    void Fail(string reason)
    {
        var message = $"activations to {PeerAddress.Format(Address)}: {reason}";
        if (Interlocked.CompareExchange(ref _failure, message, null) is not null) return;
        _unacknowledged.TryPeek(out var onStream);
        var onLink = _steps?.Oldest ?? 0;
        _stopping.Cancel();
        Failed?.Invoke(onStream == 0 || onLink == 0 ? onStream + onLink : Math.Min(onStream, onLink), message);
    }
}

/// <summary>The encoded output of one step on its way out. The buffer grows to the largest step and is used again and again.</summary>
sealed class SendBuffer
{
    byte[] _bytes = [];

    public ulong StepId { get; private set; }

    public int Rows { get; private set; }

    /// <summary>Makes room for a step.</summary>
    public Span<byte> Begin(ulong stepId, int rows, int rowBytes)
    {
        (StepId, Rows) = (stepId, rows);
        var length = checked(rows * rowBytes);
        if (_bytes.Length < length)
            _bytes = GC.AllocateUninitializedArray<byte>((int)Math.Min(BitOperations.RoundUpToPowerOf2((uint)length), (uint)Array.MaxLength));
        return _bytes.AsSpan(0, length);
    }

    public ReadOnlyMemory<byte> RowsFrom(int first, int count, int rowBytes) => _bytes.AsMemory(first * rowBytes, count * rowBytes);
}

using System.Collections.Concurrent;
using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// A link over the stream of a Reduce call. A message is copied into one of a few buffers and written in the background. Frames that arrive
/// wait in a bounded queue.
/// </summary>
sealed class GrpcPeerLink : IPeerLink
{
    /// <summary>Enough for a window of the smallest chunks that large exchanges are cut into, and some small messages.</summary>
    const int Buffers = 16;

    readonly IAsyncStreamReader<RankMessage> _reader;
    readonly IAsyncStreamWriter<RankMessage> _writer;
    readonly TimeSpan _timeout;
    readonly ConcurrentQueue<byte[]> _pool = new(Enumerable.Range(0, Buffers).Select(_ => Array.Empty<byte>()));
    readonly SemaphoreSlim _free = new(Buffers);
    readonly Channel<Outgoing> _ready = Channel.CreateBounded<Outgoing>(Buffers);
    readonly HandoverQueue<RankFrame> _arrived = new(Buffers);
    readonly CancellationTokenSource _closing;
    readonly Task _running;
    string? _closed;

    /// <param name="timeout">The longest that the peer may keep a message waiting, or may be waited for.</param>
    /// <param name="callEnded">Cancelled when the call is over.</param>
    public GrpcPeerLink(
        IAsyncStreamReader<RankMessage> reader, IAsyncStreamWriter<RankMessage> writer, string peer, TimeSpan timeout, CancellationToken callEnded)
    {
        (_reader, _writer, Peer, _timeout) = (reader, writer, peer, timeout);
        _closing = CancellationTokenSource.CreateLinkedTokenSource(callEnded);
        _running = Task.WhenAll(Guard(ReadAsync), Guard(WriteAsync));
    }

    public string Kind => "grpc";

    public string Peer { get; }

    /// <summary>Completes when the peer has ended the stream, or the link is closed.</summary>
    public Task Ended => _running;

    /// <summary>Why it is over; null while it is not.</summary>
    public string? Closed => Volatile.Read(ref _closed);

    public bool HasMessage => _arrived.HasItems || Closed is not null;

    public void Send(in LinkHeader header, ReadOnlySpan<byte> payload)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(payload.Length, IPeerLink.MaxPayload);
        if (Closed is not null) throw Broken("the call was ended");
        try
        {
            if (!_free.Wait(_timeout, _closing.Token)) throw Broken($"it took nothing for {_timeout.TotalSeconds:0.##} s");
        }
        catch (OperationCanceledException)
        {
            throw Broken("the call was ended");
        }
        if (!_pool.TryDequeue(out var buffer)) throw new InvalidOperationException("a free buffer was counted, but there is none");
        if (buffer.Length < payload.Length) buffer = GC.AllocateUninitializedArray<byte>(IPeerLink.MaxPayload);
        payload.CopyTo(buffer);
        if (!_ready.Writer.TryWrite(new Outgoing(header, buffer, payload.Length)))
            throw new InvalidOperationException("there is room for every buffer, but one was not taken");
    }

    public int Receive(out LinkHeader header, Span<byte> payload)
    {
        try
        {
            if (!_arrived.TryTake(_timeout, out var frame)) throw Broken("the call was ended");
            header = new LinkHeader(frame.ViewVersion, frame.StepId, frame.Content, frame.Exchange, frame.Chunk);
            if (frame.Payload.Length > payload.Length) throw Broken($"it sent {frame.Payload.Length} bytes where at most {payload.Length} were due ({header})");
            frame.Payload.Span.CopyTo(payload);
            return frame.Payload.Length;
        }
        catch (TimeoutException e)
        {
            throw Broken(e.Message);
        }
    }

    public void Close(string reason)
    {
        if (Interlocked.CompareExchange(ref _closed, reason, null) is not null) return;
        _arrived.Close();
        // Asynchronous, because the caller may hold a lock and continuations of the token would run right here.
        _ = _closing.CancelAsync();
    }

    public async ValueTask DisposeAsync()
    {
        Close("the link is closed");
        await _running;
        _free.Dispose();
        _closing.Dispose();
    }

    async Task ReadAsync()
    {
        while (await _reader.MoveNext(_closing.Token))
        {
            if (_reader.Current.Frame is not { } frame) throw new InvalidOperationException("it sent something else than a frame");
            if (!await _arrived.AddAsync(frame, _closing.Token)) return;
        }
        throw new IOException("it ended the stream");
    }

    async Task WriteAsync()
    {
        await foreach (var (header, buffer, length) in _ready.Reader.ReadAllAsync(_closing.Token))
        {
            await _writer.WriteAsync(Message(header, buffer.AsMemory(0, length)), _closing.Token).WaitAsync(_timeout);
            _pool.Enqueue(buffer);
            _free.Release();
        }
    }

    // The payload is the buffer itself: it is written out when WriteAsync returns, and only then is the buffer used again.
    static RankMessage Message(in LinkHeader header, ReadOnlyMemory<byte> payload) => new()
    {
        Frame = new RankFrame
        {
            ViewVersion = header.ViewVersion,
            StepId = header.StepId,
            Content = header.Content,
            Exchange = header.Exchange,
            Chunk = header.Chunk,
            Payload = UnsafeByteOperations.UnsafeWrap(payload),
        },
    };

    async Task Guard(Func<Task> loop)
    {
        try
        {
            await loop();
        }
        catch (Exception e)
        {
            Close($"{Peer}: {RpcProblem.Describe(e)}");
        }
    }

    PeerLinkException Broken(string how)
    {
        Close($"{Peer}: {how}");
        return new PeerLinkException(_closed!);
    }

    readonly record struct Outgoing(LinkHeader Header, byte[] Buffer, int Length);
}

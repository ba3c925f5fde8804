using System.Net.Sockets;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// A TCP connection as a stream, for one thread that exchanges small messages. A read or write that has to wait spins for a moment before it
/// sleeps, because waking a thread takes longer than most waits. Every wait has a deadline. Nothing is allocated per call.
/// <para>The asynchronous methods are for the handshake. Its deadline is the caller's token.</para>
/// </summary>
/// <param name="timeout">The longest that one synchronous read or write waits for the peer.</param>
sealed class PeerSocket(Socket socket, TimeSpan timeout) : Stream
{
    readonly SpinLimit _reads = new();
    readonly SpinLimit _writes = new();

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Whether a read would find something at once. Also where the connection has ended.</summary>
    public bool HasBytes
    {
        get
        {
            try
            {
                return socket.Poll(TimeSpan.Zero, SelectMode.SelectRead);
            }
            catch (ObjectDisposedException)
            {
                return true;
            }
        }
    }

    /// <param name="socket">Connected; owned from now on.</param>
    public static PeerSocket Over(Socket socket, TimeSpan timeout)
    {
        (socket.NoDelay, socket.Blocking) = (true, false);
        // The window must fit, with room for headers. A system with smaller defaults gives as much as it allows.
        (socket.SendBufferSize, socket.ReceiveBufferSize) = (2 * IPeerLink.Window, 2 * IPeerLink.Window);
        return new PeerSocket(socket, timeout);
    }

    /// <returns>Bytes read; 0: the peer has ended its side.</returns>
    /// <exception cref="IOException">The connection broke.</exception>
    /// <exception cref="TimeoutException">Nothing came in time.</exception>
    public override int Read(Span<byte> buffer)
    {
        for (var waiting = new SpinWaiting(_reads); ;)
        {
            var count = socket.Receive(buffer, SocketFlags.None, out var error);
            if (error == SocketError.WouldBlock)
            {
                WaitFor(SelectMode.SelectRead, ref waiting, "nothing came");
                continue;
            }
            if (error != SocketError.Success) throw Broken(error);
            waiting.End();
            return count;
        }
    }

    /// <inheritdoc cref="Read(Span{byte})"/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        for (var waiting = new SpinWaiting(_writes); ;)
        {
            var count = socket.Send(buffer, SocketFlags.None, out var error);
            if (error is not (SocketError.Success or SocketError.WouldBlock)) throw Broken(error);
            buffer = buffer[Math.Max(0, count)..];
            if (buffer.IsEmpty)
            {
                waiting.End();
                return;
            }
            if (error == SocketError.WouldBlock) WaitFor(SelectMode.SelectWrite, ref waiting, "nothing was taken");
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (!buffer.IsEmpty) buffer = buffer[await socket.SendAsync(buffer, SocketFlags.None, cancellationToken)..];
    }

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    /// <summary>Ends the connection. May be called from another thread; a thread that waits in a read or write sees the end.</summary>
    public void Abort()
    {
        try
        {
            socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is not connected any more, which is what was wanted.
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) socket.Dispose();
        base.Dispose(disposing);
    }

    void WaitFor(SelectMode what, ref SpinWaiting waiting, string complaint)
    {
        if (waiting.LooksAgain()) return;
        var left = timeout - waiting.Waited;
        if (left <= TimeSpan.Zero || !socket.Poll(left, what) && waiting.Waited >= timeout)
            throw new TimeoutException($"{complaint} for {timeout.TotalSeconds:0.##} s");
    }

    static IOException Broken(SocketError error) => new(new SocketException((int)error).Message);
}

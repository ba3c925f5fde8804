namespace LlamaCluster.Worker.Links.Peers;

/// <summary>
/// A link over a TCP connection of its own, with or without TLS: header and payload go out in one write, and one read takes what there is.
/// Nothing is allocated per message.
/// </summary>
/// <param name="connection">The connection itself.</param>
/// <param name="stream">What is spoken on it: the connection, or TLS over it. Both are owned.</param>
sealed class TcpPeerLink(LaneStream connection, Stream stream, string peer) : IPeerLink
{
    readonly byte[] _sent = GC.AllocateUninitializedArray<byte>(LaneFrame.HeaderBytes + IPeerLink.MaxPayload, pinned: true);
    readonly byte[] _received = GC.AllocateUninitializedArray<byte>(2 * (LaneFrame.HeaderBytes + IPeerLink.MaxPayload), pinned: true);

    /// <summary>What was read and not yet handed on is _received[_first.._end].</summary>
    int _first;

    int _end;
    volatile string? _closed;

    public string Kind => "tcp";

    public string Peer => peer;

    public void Send(in LinkHeader header, ReadOnlySpan<byte> payload)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(payload.Length, IPeerLink.MaxPayload);
        LaneFrame.Write(_sent, header, payload.Length);
        payload.CopyTo(_sent.AsSpan(LaneFrame.HeaderBytes));
        try
        {
            stream.Write(_sent.AsSpan(0, LaneFrame.HeaderBytes + payload.Length));
        }
        catch (Exception e) when (e is IOException or TimeoutException or ObjectDisposedException)
        {
            throw Broken(Cause(e));
        }
    }

    public int Receive(out LinkHeader header, Span<byte> payload)
    {
        Fill(LaneFrame.HeaderBytes);
        if (LaneFrame.Read(_received.AsSpan(_first), out header, out var length) is { } problem) throw Broken(problem);
        if (length > payload.Length) throw Broken($"it sent {length} bytes where at most {payload.Length} were due ({header})");
        Fill(LaneFrame.HeaderBytes + length);
        _received.AsSpan(_first + LaneFrame.HeaderBytes, length).CopyTo(payload);
        _first += LaneFrame.HeaderBytes + length;
        return length;
    }

    public void Close(string reason)
    {
        if (Interlocked.CompareExchange(ref _closed, reason, null) is null) connection.Abort();
    }

    public ValueTask DisposeAsync()
    {
        Close("the link is closed");
        stream.Dispose();
        connection.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Reads until so many bytes are there, and more if there are more.</summary>
    void Fill(int count)
    {
        if (_first == _end) _first = _end = 0;
        if (_first + count > _received.Length)
        {
            _received.AsSpan(_first.._end).CopyTo(_received);
            (_first, _end) = (0, _end - _first);
        }
        while (_end - _first < count)
        {
            var read = Read(_received.AsSpan(_end));
            if (read == 0) throw Broken(_end == _first ? "it ended the connection" : "it ended the connection within a message");
            _end += read;
        }
    }

    int Read(Span<byte> buffer)
    {
        try
        {
            return stream.Read(buffer);
        }
        catch (Exception e) when (e is IOException or TimeoutException or ObjectDisposedException)
        {
            throw Broken(Cause(e));
        }
    }

    /// <summary>TLS says of what happens to the connection beneath it only that something did.</summary>
    static string Cause(Exception e) => (e.InnerException ?? e).Message;

    PeerLinkException Broken(string how)
    {
        Close($"{peer}: {how}");
        return new PeerLinkException(_closed!);
    }
}

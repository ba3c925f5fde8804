namespace LlamaCluster.Worker.Peers;

/// <summary>
/// A link over a direct connection, with or without TLS. Header and payload go out in one write, and one read takes all that is there. Nothing
/// is allocated per message.
/// </summary>
/// <param name="connection">The TCP connection. Owned.</param>
/// <param name="stream">What is read and written: the connection, or TLS over it. Owned.</param>
sealed class TcpPeerLink(PeerSocket connection, Stream stream, string peer) : IPeerLink
{
    readonly byte[] _sent = GC.AllocateUninitializedArray<byte>(LinkFrame.HeaderBytes + IPeerLink.MaxPayload, pinned: true);
    readonly byte[] _received = GC.AllocateUninitializedArray<byte>(2 * (LinkFrame.HeaderBytes + IPeerLink.MaxPayload), pinned: true);

    /// <summary>Bytes that were read and not yet handed on: _received[_first.._end].</summary>
    int _first;

    int _end;
    volatile string? _closed;

    public string Kind => "tcp";

    public string Peer => peer;

    public bool HasMessage => _end > _first || connection.HasBytes;

    public void Send(in LinkHeader header, ReadOnlySpan<byte> payload)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(payload.Length, IPeerLink.MaxPayload);
        LinkFrame.Write(_sent, header, payload.Length);
        payload.CopyTo(_sent.AsSpan(LinkFrame.HeaderBytes));
        try
        {
            stream.Write(_sent.AsSpan(0, LinkFrame.HeaderBytes + payload.Length));
        }
        catch (Exception e) when (e is IOException or TimeoutException or ObjectDisposedException)
        {
            throw Broken(Cause(e));
        }
    }

    public int Receive(out LinkHeader header, Span<byte> payload)
    {
        Fill(LinkFrame.HeaderBytes);
        if (LinkFrame.Read(_received.AsSpan(_first), out header, out var length) is { } problem) throw Broken(problem);
        if (length > payload.Length) throw Broken($"it sent {length} bytes where at most {payload.Length} were due ({header})");
        Fill(LinkFrame.HeaderBytes + length);
        _received.AsSpan(_first + LinkFrame.HeaderBytes, length).CopyTo(payload);
        _first += LinkFrame.HeaderBytes + length;
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

    /// <summary>Reads until at least so many bytes are there.</summary>
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

    /// <summary>TLS wraps errors of the connection beneath it. The inner exception says what happened.</summary>
    static string Cause(Exception e) => (e.InnerException ?? e).Message;

    PeerLinkException Broken(string how)
    {
        Close($"{peer}: {how}");
        return new PeerLinkException(_closed!);
    }
}

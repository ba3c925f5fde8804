using System.Security.Cryptography;
using LlamaCluster.Kernels;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// A link between two processes of one host: two rings in memory that both have mapped, one each way. A message is a header and its payload, rounded up to
/// whole headers. It is there when the count of written bytes says so. Who waits looks for a while and then sleeps until the other side wakes it.
/// <para>
/// The memory begins with a token, by which the side that opens it knows that it has the memory that was meant, and with a mark, by which the side
/// that created it knows that the other one has it too. Nothing that the other side writes is trusted: a count out of range ends the link.
/// </para>
/// </summary>
sealed class SharedMemoryLink : IPeerLink
{
    /// <summary>The window must fit twice, as in a connection's buffers: with room for headers.</summary>
    public const int RingBytes = 2 * IPeerLink.Window;

    public const int Bytes = FirstRing + 2 * RingSpace;

    public const int TokenBytes = 32;

    /// <summary>Where the ring stands that the creator writes. The other one follows it.</summary>
    public const int FirstRing = 4096;

    // Within a ring. What one side writes often has a cache line of its own.
    public const int Written = 0;
    public const int Read = 64;
    const int ReaderSleeps = 128;
    const int WriterSleeps = 192;
    public const int RingData = 256;
    const int RingSpace = RingData + RingBytes;

    // Before the rings.
    const int Mark = 64;
    const int CreatorEnded = 128;
    const int OpenerEnded = 192;

    readonly SharedMemory _memory;
    readonly TimeSpan _timeout;
    readonly int _out;   // the ring that this side writes
    readonly int _in;
    readonly int _ended;   // what this side sets when it ends the link
    readonly int _peerEnded;
    readonly SpinLimit _reads = new();
    readonly SpinLimit _writes = new();
    long _written;   // this side's own counts: those in the memory are for the other side
    long _read;
    volatile string? _closed;

    SharedMemoryLink(SharedMemory memory, bool creator, string peer, TimeSpan timeout)
    {
        (_memory, Peer, _timeout) = (memory, peer, timeout);
        (_out, _in) = creator ? (FirstRing, FirstRing + RingSpace) : (FirstRing + RingSpace, FirstRing);
        (_ended, _peerEnded) = creator ? (CreatorEnded, OpenerEnded) : (OpenerEnded, CreatorEnded);
    }

    public string Kind => "shm";

    public string Peer { get; }

    /// <summary>Whether the other side has opened the memory.</summary>
    public bool IsOpened => Volatile.Read(ref _memory.Number<int>(Mark)) != 0;

    public bool HasMessage
    {
        get
        {
            if (!_memory.TryEnter()) return true;
            try
            {
                return Count(_in + Written) != _read || _closed is not null || HasPeerEnded;
            }
            finally
            {
                _memory.Leave();
            }
        }
    }

    bool HasPeerEnded => Volatile.Read(ref _memory.Number<int>(_peerEnded)) != 0;

    /// <summary>Creates the memory and offers it. The other side can open it with the name and the token.</summary>
    /// <exception cref="IOException">There is no room for it.</exception>
    /// <exception cref="UnauthorizedAccessException">This process may not create it.</exception>
    public static SharedMemoryLink Create(string peer, TimeSpan timeout, out string name, out byte[] token)
    {
        var memory = SharedMemory.Create(Bytes);
        token = RandomNumberGenerator.GetBytes(TokenBytes);
        token.CopyTo(memory.Span(0, TokenBytes));
        name = memory.Name;
        return new SharedMemoryLink(memory, creator: true, peer, timeout);
    }

    /// <summary>Opens what the other side offered, and takes its name away.</summary>
    /// <exception cref="IOException">It is not to be found on this host, or is not what was offered.</exception>
    /// <exception cref="UnauthorizedAccessException">It is another user's.</exception>
    public static SharedMemoryLink Open(string name, ReadOnlySpan<byte> token, string peer, TimeSpan timeout)
    {
        var memory = SharedMemory.Open(name, Bytes);
        if (!CryptographicOperations.FixedTimeEquals(memory.Span(0, TokenBytes), token))
        {
            memory.Dispose();
            throw new IOException("it has another token");
        }
        memory.Unlink();
        Volatile.Write(ref memory.Number<int>(Mark), 1);
        return new SharedMemoryLink(memory, creator: false, peer, timeout);
    }

    /// <summary>Takes the name away, if the other side has not.</summary>
    public void Unlink() => _memory.Unlink();

    public void Send(in LinkHeader header, ReadOnlySpan<byte> payload)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(payload.Length, IPeerLink.MaxPayload);
        Enter();
        try
        {
            var need = Padded(payload.Length);
            WaitForRoom(need);
            LinkFrame.Write(_memory.Span(Place(_out, _written), LinkFrame.HeaderBytes), header, payload.Length);
            var place = Place(_out, _written + LinkFrame.HeaderBytes);
            var first = Math.Min(payload.Length, _out + RingSpace - place);
            payload[..first].CopyTo(_memory.Span(place, first));
            payload[first..].CopyTo(_memory.Span(_out + RingData, payload.Length - first));
            Publish(_out + Written, _written += need, _out + ReaderSleeps);
        }
        finally
        {
            _memory.Leave();
        }
    }

    public int Receive(out LinkHeader header, Span<byte> payload)
    {
        Enter();
        try
        {
            var there = WaitForMessage();
            // Copied before it is checked: the other side could change it in between.
            Span<byte> bytes = stackalloc byte[LinkFrame.HeaderBytes];
            _memory.Span(Place(_in, _read), LinkFrame.HeaderBytes).CopyTo(bytes);
            if (LinkFrame.Read(bytes, out header, out var length) is { } problem) throw Broken(problem);
            if (length > payload.Length) throw Broken($"it sent {length} bytes where at most {payload.Length} were due ({header})");
            if (Padded(length) > there) throw Broken($"its message of {length} bytes is longer than what it wrote");
            var place = Place(_in, _read + LinkFrame.HeaderBytes);
            var first = Math.Min(length, _in + RingSpace - place);
            _memory.Span(place, first).CopyTo(payload);
            _memory.Span(_in + RingData, length - first).CopyTo(payload[first..]);
            Publish(_in + Read, _read += Padded(length), _in + WriterSleeps);
            return length;
        }
        finally
        {
            _memory.Leave();
        }
    }

    public void Close(string reason)
    {
        if (Interlocked.CompareExchange(ref _closed, reason, null) is not null || !_memory.TryEnter()) return;
        try
        {
            Volatile.Write(ref _memory.Number<int>(_ended), 1);
            // Threads of both sides may sleep. Each looks once more after it has said that it sleeps, so none of them misses this.
            foreach (var ring in (ReadOnlySpan<int>)[_out, _in])
            {
                Wake(ring + ReaderSleeps);
                Wake(ring + WriterSleeps);
            }
        }
        finally
        {
            _memory.Leave();
        }
    }

    public ValueTask DisposeAsync()
    {
        Close("the link is closed");
        _memory.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>A header and its payload, in whole headers. So a header never stands across the ring's end.</summary>
    static int Padded(int payload) => (LinkFrame.HeaderBytes + payload + LinkFrame.HeaderBytes - 1) / LinkFrame.HeaderBytes * LinkFrame.HeaderBytes;

    static int Place(int ring, long count) => ring + RingData + (int)(count % RingBytes);

    void Enter()
    {
        if (!_memory.TryEnter()) throw new PeerLinkException(_closed ?? $"{Peer}: the link is closed");
    }

    long Count(int offset) => Volatile.Read(ref _memory.Number<long>(offset));

    /// <returns>Bytes that are written and not yet received: at least a header.</returns>
    long WaitForMessage()
    {
        for (var waiting = new SpinWaiting(_reads); ;)
        {
            // The end is looked for first: what was written before it is there then.
            var ended = HasPeerEnded;
            if (_closed is not null) throw Broken("the link is closed");
            var there = Count(_in + Written) - _read;
            if (there < 0 || there > RingBytes || there % LinkFrame.HeaderBytes != 0) throw Broken($"it wrote {there} bytes into a ring of {RingBytes}");
            if (there > 0)
            {
                waiting.End();
                return there;
            }
            if (ended) throw Broken("it ended the link");
            if (!waiting.LooksAgain()) Sleep(_in + ReaderSleeps, _in + Written, _read, waiting, "nothing came");
        }
    }

    void WaitForRoom(int need)
    {
        for (var waiting = new SpinWaiting(_writes); ;)
        {
            if (_closed is not null) throw Broken("the link is closed");
            if (HasPeerEnded) throw Broken("it ended the link");
            var read = Count(_out + Read);
            var under = _written - read;
            if (under < 0 || under > RingBytes) throw Broken($"it read {read} of {_written} bytes");
            if (under + need <= RingBytes)
            {
                waiting.End();
                return;
            }
            if (!waiting.LooksAgain()) Sleep(_out + WriterSleeps, _out + Read, read, waiting, "nothing was taken");
        }
    }

    /// <summary>Sleeps until the other side has changed a count, or either side has ended the link.</summary>
    /// <param name="seen">The count as it was.</param>
    void Sleep(int flag, int count, long seen, in SpinWaiting waiting, string complaint)
    {
        var left = _timeout - waiting.Waited;
        if (left <= TimeSpan.Zero) throw Broken($"{complaint} for {_timeout.TotalSeconds:0.##} s");
        // The other side changes the count and then looks at the flag; this side sets the flag and then looks at the count.
        Interlocked.Exchange(ref _memory.Number<int>(flag), 1);
        if (Count(count) == seen && _closed is null && !HasPeerEnded) _memory.Sleep(flag, 1, left);
        Volatile.Write(ref _memory.Number<int>(flag), 0);
    }

    void Publish(int count, long value, int flag)
    {
        Volatile.Write(ref _memory.Number<long>(count), value);
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _memory.Number<int>(flag)) != 0) Wake(flag);
    }

    void Wake(int flag)
    {
        Volatile.Write(ref _memory.Number<int>(flag), 0);
        _memory.Wake(flag);
    }

    PeerLinkException Broken(string how)
    {
        Close($"{Peer}: {how}");
        return new PeerLinkException(_closed!);
    }
}

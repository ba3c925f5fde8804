using LlamaCluster.Worker.Links.Peers;

namespace LlamaCluster.Worker.Links.Ranks;

/// <summary>
/// The link that two ranks chose, and the stream on which they chose it: where a lane is used, the stream beside it tells, by its
/// end, that the other rank has left the view or is gone.
/// </summary>
/// <param name="stream">Owned.</param>
/// <param name="lane">What is used instead, owned too; null: the stream itself.</param>
/// <param name="connection">What the stream runs on; null where that is not this process's to close.</param>
sealed class RankLink(GrpcPeerLink stream, TcpPeerLink? lane, IDisposable? connection) : IPeerLink
{
    readonly IPeerLink _used = lane is null ? stream : lane;
    Task _watching = Task.CompletedTask;

    public string Kind => _used.Kind;

    public string Peer => _used.Peer;

    /// <summary>Completes when the link is over, whatever ended it.</summary>
    public Task Ended => stream.Ended;

    /// <summary>From now on the end of the stream is the end of the link.</summary>
    public void Watch() => _watching = WatchAsync();

    public void Send(in LinkHeader header, ReadOnlySpan<byte> payload) => _used.Send(header, payload);

    public int Receive(out LinkHeader header, Span<byte> payload) => _used.Receive(out header, payload);

    public void Close(string reason)
    {
        lane?.Close(reason);
        stream.Close(reason);
    }

    public async ValueTask DisposeAsync()
    {
        Close("the link is closed");
        await _watching;
        if (lane is not null) await lane.DisposeAsync();
        await stream.DisposeAsync();
        connection?.Dispose();
    }

    async Task WatchAsync()
    {
        await stream.Ended;
        lane?.Close(stream.Closed ?? $"{Peer}: it ended the stream");
    }
}

using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// Links this rank to a lower one. It says hello over gRPC, opens the direct connections that the other rank offers, measures all, and chooses.
/// See reduce.proto. ReduceService is the other side.
/// </summary>
sealed partial class RankCaller(PeerChannels channels, WorkerOptions options, ILogger<RankCaller> logger, ClusterTls? tls = null)
{
    /// <exception cref="PeerLinkException">They do not agree, or the link broke while it was set up.</exception>
    /// <exception cref="RpcException">The other rank cannot be reached, or refused.</exception>
    /// <exception cref="OperationCanceledException">It took too long.</exception>
    public async Task<ChosenLink> CallAsync(GroupShape shape, ShardAssignment peer, CancellationToken cancellation)
    {
        var channel = channels.Open(peer.Address);
        var name = $"rank {peer.Shard.Slice.Rank} ({PeerAddress.Format(peer.Address)})";
        GrpcPeerLink? stream = null;
        try
        {
            // Without the token: the stream lives on when this method has returned.
            var call = new Reduce.ReduceClient(channel).Exchange(shape.Key.ToHeaders());
            await call.RequestStream.WriteAsync(new RankMessage { Hello = shape.ToHello(options.PeerLink) }, cancellation);
            if (!await call.ResponseStream.MoveNext(cancellation)) throw new PeerLinkException($"{name} ended the stream instead of saying hello");
            if (call.ResponseStream.Current.Hello is not { } hello) throw new PeerLinkException($"{name} sent something else than a hello");
            if (shape.FirstProblem(hello, peer.Shard.Slice.Rank) is { } problem) throw new PeerLinkException($"{name} does not agree: {problem}");
            stream = new GrpcPeerLink(call.ResponseStream, call.RequestStream, name, options.PeerTimeout, CancellationToken.None);
            var opened = await OpenedLinks.OpenAsync(
                hello.Direct, hello.SharedMemory, peer.Address, name, onlyOne: false, options.PeerTimeout, tls, cancellation);
            var link = await ChooseAsync(shape, Wanted(hello), stream, opened, cancellation);
            return Own(stream, link, channel);
        }
        catch
        {
            if (stream is not null) await stream.DisposeAsync();
            channel.Dispose();
            throw;
        }
    }

    static ChosenLink Own(GrpcPeerLink stream, IPeerLink? direct, IDisposable channel)
    {
        var link = new ChosenLink(stream, direct, channel);
        link.Watch();
        return link;
    }

    /// <summary>The kind of link that one of the two ranks insists on. Unspecified: the fastest one.</summary>
    PeerLinkType Wanted(RankHello hello) => options.PeerLink == PeerLinkPreference.Auto ? hello.Link : options.PeerLink.ToWire();

    /// <summary>Measures and chooses on a thread of its own, as the ranks' exchanges will run on one.</summary>
    /// <returns>The direct connection that was chosen. Null: the stream was.</returns>
    async Task<IPeerLink?> ChooseAsync(GroupShape shape, PeerLinkType wanted, GrpcPeerLink stream, OpenedLinks opened, CancellationToken cancellation)
    {
        await using var giveUp = cancellation.Register(() =>
        {
            foreach (var (_, link) in opened.Links) link.Close("it took too long to choose between the direct connection and the stream");
            stream.Close("it took too long to choose between the direct connection and the stream");
        });
        IPeerLink? chosen = null;
        try
        {
            await Task.Factory.StartNew(
                () => chosen = Choose(shape, wanted, stream, opened), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        finally
        {
            foreach (var (_, link) in opened.Links)
                if (link != chosen) await link.DisposeAsync();
        }
        return chosen;
    }

    IPeerLink? Choose(GroupShape shape, PeerLinkType wanted, GrpcPeerLink stream, OpenedLinks opened)
    {
        (PeerLinkType Type, IPeerLink Link)[] links = [.. opened.Links, (PeerLinkType.Grpc, stream)];
        if (wanted != PeerLinkType.Unspecified && Array.TrueForAll(links, link => link.Type != wanted))
            throw OpenedLinks.Missing(wanted, stream.Peer, opened.Why);
        TimeSpan[] times = [.. links.Select(link => LinkTiming.Measure(link.Link, shape.ViewVersion))];
        var (chosen, used) = wanted == PeerLinkType.Unspecified ? links[Array.IndexOf(times, times.Min())] : Array.Find(links, link => link.Type == wanted);
        foreach (var (_, link) in links) LinkTiming.End(link, shape.ViewVersion, chosen);
        var told = string.Join(", ", links.Zip(times, (link, time) => $"{Microseconds(time)} by {link.Link.Kind}"));
        LogLinked(
            shape.ViewVersion, stream.Peer, chosen, opened.Why.Length == 0 ? told : $"{told} ({opened.Why})",
            tls is null || chosen == PeerLinkType.Shm ? "" : ", encrypted");
        return used == stream ? null : used;
    }

    static string Microseconds(TimeSpan time) => FormattableString.Invariant($"{time.TotalMicroseconds:0} us");

    [LoggerMessage(Level = LogLevel.Information, Message = "View {ViewVersion}: partial sums to {Peer} go by {Chosen}{Encrypted}; 32 KiB take one way {Times}")]
    partial void LogLinked(ulong viewVersion, string peer, PeerLinkType chosen, string times, string encrypted);
}

/// <summary>
/// The link that two ranks chose, with the gRPC stream on which they chose it. Where they use a direct connection, the end of the stream beside
/// it says that the other rank has left the view or is gone.
/// </summary>
/// <param name="stream">Owned.</param>
/// <param name="direct">What is used instead. Owned. Null: the stream itself is used.</param>
/// <param name="connection">What the stream runs on. Null where this process does not own that.</param>
sealed class ChosenLink(GrpcPeerLink stream, IPeerLink? direct, IDisposable? connection) : IPeerLink
{
    readonly IPeerLink _used = direct is null ? stream : direct;
    Task _watching = Task.CompletedTask;

    public string Kind => _used.Kind;

    public string Peer => _used.Peer;

    public bool HasMessage => _used.HasMessage;

    /// <summary>Completes when the link is over, whatever ended it.</summary>
    public Task Ended => stream.Ended;

    /// <summary>From now on the link ends with the stream.</summary>
    public void Watch() => _watching = WatchAsync();

    public void Send(in LinkHeader header, ReadOnlySpan<byte> payload) => _used.Send(header, payload);

    public int Receive(out LinkHeader header, Span<byte> payload) => _used.Receive(out header, payload);

    public void Close(string reason)
    {
        direct?.Close(reason);
        stream.Close(reason);
    }

    public async ValueTask DisposeAsync()
    {
        Close("the link is closed");
        await _watching;
        if (direct is not null) await direct.DisposeAsync();
        await stream.DisposeAsync();
        connection?.Dispose();
    }

    async Task WatchAsync()
    {
        await stream.Ended;
        direct?.Close(stream.Closed ?? $"{Peer}: it ended the stream");
    }
}

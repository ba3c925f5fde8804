using System.Net.Sockets;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// Links this rank to a lower one. It says hello over gRPC, tries the direct connection that the other rank offers, measures both, and chooses.
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
            var (direct, why) = await TryDirectAsync(hello, peer.Address, name, cancellation);
            var link = await ChooseAsync(shape, Wanted(hello), stream, direct, why, cancellation);
            return Own(stream, link, channel);
        }
        catch
        {
            if (stream is not null) await stream.DisposeAsync();
            channel.Dispose();
            throw;
        }
    }

    static ChosenLink Own(GrpcPeerLink stream, TcpPeerLink? direct, IDisposable channel)
    {
        var link = new ChosenLink(stream, direct, channel);
        link.Watch();
        return link;
    }

    /// <summary>The kind of link that one of the two ranks insists on. Unspecified: the faster one.</summary>
    PeerLinkType Wanted(RankHello hello) => options.PeerLink switch
    {
        PeerLinkPreference.Grpc => PeerLinkType.Grpc,
        PeerLinkPreference.Tcp => PeerLinkType.Tcp,
        _ => hello.Link,
    };

    /// <returns>The direct connection, or why there is none.</returns>
    async Task<(TcpPeerLink? Link, string Why)> TryDirectAsync(RankHello hello, Uri address, string name, CancellationToken cancellation)
    {
        if (hello.Direct is not { } offer) return (null, "no direct connection was offered");
        if (offer.Port is 0 or > ushort.MaxValue || offer.Token.Length != DirectConnection.TokenBytes)
            throw new PeerLinkException($"{name} offered a direct connection that can be none");
        // A firewall may drop packets to the port. Then there must be time left to use the stream.
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(RpcSettings.ConnectTimeout);
        try
        {
            var direct = await DirectConnection.DialAsync(address.DnsSafeHost, (int)offer.Port, offer.Token.Memory, tls, options.PeerTimeout, deadline.Token);
            return (new TcpPeerLink(direct.Connection, direct.Stream, name), "");
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return (null, $"port {offer.Port}: {RpcProblem.Describe(e)}");
        }
    }

    /// <summary>Measures and chooses on a thread of its own, as the ranks' exchanges will run on one.</summary>
    /// <returns>The direct connection, if that is what was chosen.</returns>
    async Task<TcpPeerLink?> ChooseAsync(
        GroupShape shape, PeerLinkType wanted, GrpcPeerLink stream, TcpPeerLink? direct, string why, CancellationToken cancellation)
    {
        await using var giveUp = cancellation.Register(() =>
        {
            direct?.Close("it took too long to choose between the direct connection and the stream");
            stream.Close("it took too long to choose between the direct connection and the stream");
        });
        TcpPeerLink? chosen = null;
        try
        {
            await Task.Factory.StartNew(() => chosen = Choose(shape, wanted, stream, direct, why), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        finally
        {
            if (chosen is null && direct is not null) await direct.DisposeAsync();
        }
        return chosen;
    }

    TcpPeerLink? Choose(GroupShape shape, PeerLinkType wanted, GrpcPeerLink stream, TcpPeerLink? direct, string why)
    {
        if (wanted == PeerLinkType.Tcp && direct is null) throw new PeerLinkException($"--peer-link is tcp, but there is no direct connection to {stream.Peer}: {why}");
        var directTime = direct is null ? (TimeSpan?)null : LinkTiming.Measure(direct, shape.ViewVersion);
        var streamTime = LinkTiming.Measure(stream, shape.ViewVersion);
        var chosen = wanted == PeerLinkType.Tcp || wanted != PeerLinkType.Grpc && directTime < streamTime ? PeerLinkType.Tcp : PeerLinkType.Grpc;
        if (direct is not null) LinkTiming.End(direct, shape.ViewVersion, chosen);
        LinkTiming.End(stream, shape.ViewVersion, chosen);
        var times = directTime is { } measured ? $"{Microseconds(measured)} by tcp, {Microseconds(streamTime)} by grpc" : $"{Microseconds(streamTime)} by grpc ({why})";
        LogLinked(shape.ViewVersion, stream.Peer, chosen, times, tls is null ? "" : ", encrypted");
        return chosen == PeerLinkType.Tcp ? direct : null;
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
sealed class ChosenLink(GrpcPeerLink stream, TcpPeerLink? direct, IDisposable? connection) : IPeerLink
{
    readonly IPeerLink _used = direct is null ? stream : direct;
    Task _watching = Task.CompletedTask;

    public string Kind => _used.Kind;

    public string Peer => _used.Peer;

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

using System.Net.Sockets;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Links.Lanes;
using LlamaCluster.Worker.Links.Peers;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Links.Ranks;

/// <summary>
/// Links this rank to a lower one: says hello over gRPC, tries the lane that the other one offers, measures both and chooses. See
/// reduce.proto; <see cref="ReduceService"/> is the other side.
/// </summary>
sealed partial class RankCaller(PeerChannels channels, WorkerOptions options, ILogger<RankCaller> logger, ClusterTls? tls = null)
{
    /// <exception cref="PeerLinkException">They do not agree, or the link broke while it was set up.</exception>
    /// <exception cref="RpcException">The other rank cannot be reached, or refused.</exception>
    /// <exception cref="OperationCanceledException">It took too long.</exception>
    public async Task<RankLink> CallAsync(GroupShape shape, ShardAssignment peer, CancellationToken cancellation)
    {
        var channel = channels.Open(peer.Address);
        var name = $"rank {peer.Shard.Slice.Rank} ({PeerAddress.Format(peer.Address)})";
        GrpcPeerLink? stream = null;
        try
        {
            // Not the caller's token: the stream outlives the call.
            var call = new Reduce.ReduceClient(channel).Exchange();
            await call.RequestStream.WriteAsync(new RankMessage { Hello = shape.ToHello(options.PeerLink) }, cancellation);
            if (!await call.ResponseStream.MoveNext(cancellation)) throw new PeerLinkException($"{name} ended the stream instead of saying hello");
            if (call.ResponseStream.Current.Hello is not { } hello) throw new PeerLinkException($"{name} sent something else than a hello");
            if (shape.FirstProblem(hello, peer.Shard.Slice.Rank) is { } problem) throw new PeerLinkException($"{name} does not agree: {problem}");
            stream = new GrpcPeerLink(call.ResponseStream, call.RequestStream, name, options.PeerTimeout, CancellationToken.None);
            var (lane, why) = await TryLaneAsync(hello, peer.Address, name, cancellation);
            var link = await ChooseAsync(shape, Wanted(hello), stream, lane, why, cancellation);
            return Own(stream, link, channel);
        }
        catch
        {
            if (stream is not null) await stream.DisposeAsync();
            channel.Dispose();
            throw;
        }
    }

    static RankLink Own(GrpcPeerLink stream, TcpPeerLink? lane, IDisposable channel)
    {
        var link = new RankLink(stream, lane, channel);
        link.Watch();
        return link;
    }

    /// <summary>What either of the two insists on.</summary>
    PeerLinkType Wanted(RankHello hello) => options.PeerLink switch
    {
        PeerLinkPreference.Grpc => PeerLinkType.Grpc,
        PeerLinkPreference.Tcp => PeerLinkType.Tcp,
        _ => hello.Link,
    };

    /// <returns>The lane, or why there is none.</returns>
    async Task<(TcpPeerLink? Lane, string Why)> TryLaneAsync(RankHello hello, Uri address, string name, CancellationToken cancellation)
    {
        if (hello.Lane is not { } offer) return (null, "no lane was offered");
        if (offer.Port is 0 or > ushort.MaxValue || offer.Token.Length != Lane.TokenBytes) throw new PeerLinkException($"{name} offered a lane that can be none");
        // Where packets to the port are dropped there is time left for the stream.
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(RpcSettings.ConnectTimeout);
        try
        {
            var lane = await Lane.DialAsync(address.DnsSafeHost, (int)offer.Port, offer.Token.Memory, tls, options.PeerTimeout, deadline.Token);
            return (new TcpPeerLink(lane.Connection, lane.Stream, name), "");
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return (null, $"port {offer.Port}: {RpcProblem.Describe(e)}");
        }
    }

    /// <summary>On a thread of its own, as the ranks' exchanges will be.</summary>
    /// <returns>The lane, if that is what was chosen.</returns>
    async Task<TcpPeerLink?> ChooseAsync(
        GroupShape shape, PeerLinkType wanted, GrpcPeerLink stream, TcpPeerLink? lane, string why, CancellationToken cancellation)
    {
        await using var giveUp = cancellation.Register(() =>
        {
            lane?.Close("it took too long to choose between lane and stream");
            stream.Close("it took too long to choose between lane and stream");
        });
        TcpPeerLink? chosen = null;
        try
        {
            await Task.Factory.StartNew(() => chosen = Choose(shape, wanted, stream, lane, why), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        finally
        {
            if (chosen is null && lane is not null) await lane.DisposeAsync();
        }
        return chosen;
    }

    TcpPeerLink? Choose(GroupShape shape, PeerLinkType wanted, GrpcPeerLink stream, TcpPeerLink? lane, string why)
    {
        if (wanted == PeerLinkType.Tcp && lane is null) throw new PeerLinkException($"--peer-link is tcp, but there is no lane to {stream.Peer}: {why}");
        var laneTime = lane is null ? (TimeSpan?)null : LinkProbe.Measure(lane, shape.ViewVersion);
        var streamTime = LinkProbe.Measure(stream, shape.ViewVersion);
        var chosen = wanted == PeerLinkType.Tcp || wanted != PeerLinkType.Grpc && laneTime < streamTime ? PeerLinkType.Tcp : PeerLinkType.Grpc;
        if (lane is not null) LinkProbe.End(lane, shape.ViewVersion, chosen);
        LinkProbe.End(stream, shape.ViewVersion, chosen);
        var times = laneTime is { } measured ? $"{Microseconds(measured)} by tcp, {Microseconds(streamTime)} by grpc" : $"{Microseconds(streamTime)} by grpc ({why})";
        LogLinked(shape.ViewVersion, stream.Peer, chosen, times, tls is null ? "" : ", encrypted");
        return chosen == PeerLinkType.Tcp ? lane : null;
    }

    static string Microseconds(TimeSpan time) => FormattableString.Invariant($"{time.TotalMicroseconds:0} us");
}

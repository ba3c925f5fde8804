using System.Net.Sockets;
using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Links.Lanes;
using LlamaCluster.Worker.Links.Peers;
using LlamaCluster.Worker.Loading;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Links.Ranks;

/// <summary>
/// Takes calls of higher ranks of the same stage: answers the hello, opens the door to a lane, echoes probes and hands the link that the
/// caller chose to the view's <see cref="RankGroup"/>. See reduce.proto; <see cref="RankCaller"/> is the other side.
/// </summary>
sealed partial class ReduceService(
    ShardKeeper shards, WorkerOptions options, WorkerLifetime lifetime, ILogger<ReduceService> logger, ClusterTls? tls = null) : Reduce.ReduceBase
{
    public override async Task Exchange(
        IAsyncStreamReader<RankMessage> requests, IServerStreamWriter<RankMessage> responses, ServerCallContext context)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.Closing);
        var hello = await ReadHelloAsync(requests, stopping.Token);
        var group = GroupFor(hello);
        var rank = (int)hello.Shard.Rank;
        await using var door = TryOpenDoor(hello, context, stopping.Token);
        var answer = group.Shape.ToHello(options.PeerLink);
        answer.Lane = door?.Offer;
        await responses.WriteAsync(new RankMessage { Hello = answer }, stopping.Token);

        var stream = new GrpcPeerLink(requests, responses, $"rank {rank} ({context.Peer})", options.PeerTimeout, stopping.Token);
        var link = await SettleAsync(stream, door, stopping.Token);
        if (!group.TryAttach(rank, link))
        {
            await link.DisposeAsync();
            throw Refused($"view {group.Shape.ViewVersion} has a link to rank {rank}, or is over");
        }
        LogLinked(group.Shape.ViewVersion, link.Peer, link.Kind);
        await link.Ended;
    }

    static async Task<RankHello> ReadHelloAsync(IAsyncStreamReader<RankMessage> requests, CancellationToken cancellation)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(RpcSettings.CallDeadline);
        try
        {
            if (await requests.MoveNext(deadline.Token) && requests.Current.Hello is { } hello) return hello;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new RpcException(new Status(StatusCode.DeadlineExceeded, $"no hello came within {RpcSettings.CallDeadline.TotalSeconds} s"));
        }
        throw new InvalidMessageException("the first message of an Exchange stream must be hello");
    }

    RankGroup GroupFor(RankHello hello)
    {
        if (shards.Current?.Executor.Group is not { } group) throw Refused("this worker holds no shard that is shared with other ranks");
        if (group.Shape.FirstProblem(hello, rank: null) is { } problem) throw Refused($"the ranks do not agree: {problem}");
        if (hello.Shard.Rank < group.Shape.Rank) throw Refused($"rank {hello.Shard.Rank} is called by rank {group.Shape.Rank}, not the other way round");
        return (hello.Link, options.PeerLink) is (PeerLinkType.Grpc, PeerLinkPreference.Tcp) or (PeerLinkType.Tcp, PeerLinkPreference.Grpc)
            ? throw Refused($"the ranks do not agree: --peer-link is {hello.Link} there and {options.PeerLink} here")
            : group;
    }

    /// <summary>Where the caller reached this worker. Null if one of the two wants no lane, or none can be had.</summary>
    LaneDoor? TryOpenDoor(RankHello hello, ServerCallContext context, CancellationToken cancellation)
    {
        if (options.PeerLink == PeerLinkPreference.Grpc || hello.Link == PeerLinkType.Grpc) return null;
        if (context.GetHttpContext().Connection.LocalIpAddress is not { } address) return null;
        try
        {
            return LaneDoor.Open(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, tls, options.PeerTimeout, logger, cancellation);
        }
        catch (SocketException e)
        {
            LogNoDoor(address, e.Message);
            return null;
        }
    }

    /// <summary>Echoes on both links, on threads of their own, until the caller has chosen.</summary>
    async Task<RankLink> SettleAsync(GrpcPeerLink stream, LaneDoor? door, CancellationToken cancellation)
    {
        TcpPeerLink? lane = null;
        try
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            deadline.CancelAfter(2 * RpcSettings.CallDeadline);
            await using var giveUp = deadline.Token.Register(() => stream.Close($"{stream.Peer}: it has not chosen a link in time"));
            var echoing = door is null ? Task.CompletedTask : EchoOnLaneAsync(door, stream.Peer, opened => lane = opened, deadline.Token);
            var chosen = await OnThread(() => LinkProbe.Echo(stream));
            // Whoever chose the lane has measured it: nobody comes through the door any more.
            if (door is not null) await door.DisposeAsync();
            await echoing;
            if (chosen == PeerLinkType.Tcp && lane is null) throw new PeerLinkException($"{stream.Peer} chose a lane that it has not opened");
            if (chosen != PeerLinkType.Tcp && lane is not null) await lane.DisposeAsync();
            var link = new RankLink(stream, chosen == PeerLinkType.Tcp ? lane : null, connection: null);
            link.Watch();
            return link;
        }
        catch (Exception e)
        {
            if (lane is not null) await lane.DisposeAsync();
            await stream.DisposeAsync();
            if (e is PeerLinkException) throw new RpcException(new Status(StatusCode.Aborted, e.Message));
            throw;
        }
    }

    async Task EchoOnLaneAsync(LaneDoor door, string peer, Action<TcpPeerLink> opened, CancellationToken cancellation)
    {
        if (await door.Came is not { } came) return;
        var lane = new TcpPeerLink(came.Connection, came.Stream, peer);
        opened(lane);
        await using var giveUp = cancellation.Register(() => lane.Close($"{peer}: it has not chosen a link in time"));
        await OnThread(() => LinkProbe.Echo(lane));
    }

    static Task<T> OnThread<T>(Func<T> work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    static RpcException Refused(string why) => new(new Status(StatusCode.FailedPrecondition, why));
}

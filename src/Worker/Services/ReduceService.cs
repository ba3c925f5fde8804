using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Loading;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Ranks;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Services;

/// <summary>
/// Takes the calls of higher ranks of the same stage. It answers the hello, offers a direct connection, echoes probes, and hands the link that
/// the caller chose to the view's <see cref="RankGroup"/>. See reduce.proto. <see cref="RankCaller"/> is the other side.
/// </summary>
[CalledBy(Caller.SameView)]
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
        await using var listener = TryListen(hello, context, stopping.Token);
        var answer = group.Shape.ToHello(options.PeerLink);
        answer.Direct = listener?.Offer;
        await responses.WriteAsync(new RankMessage { Hello = answer }, stopping.Token);

        var stream = new GrpcPeerLink(requests, responses, $"rank {rank} ({context.Peer})", options.PeerTimeout, stopping.Token);
        var link = await SettleAsync(stream, listener, stopping.Token);
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

    /// <summary>
    /// Listens on the address at which the caller reached this worker. Null if one of the two wants no direct connection, or no port is free.
    /// </summary>
    DirectListener? TryListen(RankHello hello, ServerCallContext context, CancellationToken cancellation)
    {
        if (options.PeerLink == PeerLinkPreference.Grpc || hello.Link == PeerLinkType.Grpc) return null;
        if (context.GetHttpContext().Connection.LocalIpAddress is not { } address) return null;
        try
        {
            return DirectListener.Open(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, tls, options.PeerTimeout, logger, cancellation);
        }
        catch (SocketException e)
        {
            LogCannotListen(address, e.Message);
            return null;
        }
    }

    /// <summary>Echoes on both links, on threads of their own, until the caller has chosen.</summary>
    async Task<ChosenLink> SettleAsync(GrpcPeerLink stream, DirectListener? listener, CancellationToken cancellation)
    {
        TcpPeerLink? direct = null;
        try
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            deadline.CancelAfter(2 * RpcSettings.CallDeadline);
            await using var giveUp = deadline.Token.Register(() => stream.Close($"{stream.Peer}: it has not chosen a link in time"));
            var echoing = listener is null ? Task.CompletedTask : EchoOnDirectAsync(listener, stream.Peer, opened => direct = opened, deadline.Token);
            var chosen = await OnThread(() => LinkTiming.Echo(stream));
            // A caller that chose the direct connection has measured it before. So nobody connects any more.
            if (listener is not null) await listener.DisposeAsync();
            await echoing;
            if (chosen == PeerLinkType.Tcp && direct is null) throw new PeerLinkException($"{stream.Peer} chose a direct connection that it has not opened");
            if (chosen != PeerLinkType.Tcp && direct is not null) await direct.DisposeAsync();
            var link = new ChosenLink(stream, chosen == PeerLinkType.Tcp ? direct : null, connection: null);
            link.Watch();
            return link;
        }
        catch (Exception e)
        {
            if (direct is not null) await direct.DisposeAsync();
            await stream.DisposeAsync();
            if (e is PeerLinkException) throw new RpcException(new Status(StatusCode.Aborted, e.Message));
            throw;
        }
    }

    async Task EchoOnDirectAsync(DirectListener listener, string peer, Action<TcpPeerLink> opened, CancellationToken cancellation)
    {
        if (await listener.Accepted is not { } accepted) return;
        var direct = new TcpPeerLink(accepted.Connection, accepted.Stream, peer);
        opened(direct);
        await using var giveUp = cancellation.Register(() => direct.Close($"{peer}: it has not chosen a link in time"));
        await OnThread(() => LinkTiming.Echo(direct));
    }

    static Task<T> OnThread<T>(Func<T> work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    static RpcException Refused(string why) => new(new Status(StatusCode.FailedPrecondition, why));

    [LoggerMessage(Level = LogLevel.Debug, Message = "View {ViewVersion}: linked with {Peer} by {Kind}")]
    partial void LogLinked(ulong viewVersion, string peer, string kind);

    [LoggerMessage(Level = LogLevel.Warning, Message = "No direct connection can be offered at {Address}: {Problem}")]
    partial void LogCannotListen(IPAddress address, string problem);
}

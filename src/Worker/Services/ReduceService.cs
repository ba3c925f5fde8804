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
/// Takes the calls of higher ranks of the same stage. It answers the hello, offers direct connections, echoes probes, and hands the link that
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
        var name = $"rank {rank} ({context.Peer})";
        await using var offers = new LinkOffers(options.PeerLink, hello.Link, context, name, options.PeerTimeout, tls, logger, stopping.Token);
        var answer = group.Shape.ToHello(options.PeerLink);
        (answer.Direct, answer.SharedMemory) = (offers.Direct, offers.SharedMemory);
        await responses.WriteAsync(new RankMessage { Hello = answer }, stopping.Token);

        var stream = new GrpcPeerLink(requests, responses, name, options.PeerTimeout, stopping.Token);
        var link = await SettleAsync(stream, offers, stopping.Token);
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
        return LinkOffers.FirstProblem(hello.Link, options.PeerLink) is { } differs ? throw Refused($"the ranks do not agree: {differs}") : group;
    }

    /// <summary>Echoes on all links, on threads of their own, until the caller has chosen.</summary>
    static async Task<ChosenLink> SettleAsync(GrpcPeerLink stream, LinkOffers offers, CancellationToken cancellation)
    {
        try
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            deadline.CancelAfter(2 * RpcSettings.CallDeadline);
            await using var giveUp = deadline.Token.Register(() => stream.Close($"{stream.Peer}: it has not chosen a link in time"));
            var echoing = Task.WhenAll(offers.Links.Select(offered => EchoAsync(offered, deadline.Token)));
            var chosen = await OnThread(() => LinkTiming.Echo(stream));
            var direct = await offers.TakeAsync(chosen);
            await echoing;
            var link = new ChosenLink(stream, direct, connection: null);
            link.Watch();
            return link;
        }
        catch (Exception e)
        {
            await stream.DisposeAsync();
            if (e is PeerLinkException) throw new RpcException(new Status(StatusCode.Aborted, e.Message));
            throw;
        }
    }

    /// <summary>A link that breaks meanwhile says so to whoever uses it.</summary>
    static async Task EchoAsync(Task<IPeerLink?> offered, CancellationToken cancellation)
    {
        if (await offered is not { } link) return;
        await using var giveUp = cancellation.Register(() => link.Close($"{link.Peer}: it has not chosen a link in time"));
        try
        {
            await OnThread(() => LinkTiming.Echo(link));
        }
        catch (PeerLinkException e)
        {
            link.Close(e.Message);
        }
    }

    static Task<T> OnThread<T>(Func<T> work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    static RpcException Refused(string why) => new(new Status(StatusCode.FailedPrecondition, why));

    [LoggerMessage(Level = LogLevel.Debug, Message = "View {ViewVersion}: linked with {Peer} by {Kind}")]
    partial void LogLinked(ulong viewVersion, string peer, string kind);
}

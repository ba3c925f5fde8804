using System.Net;
using Grpc.Core;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Peers;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Worker.Tests.Peers;

/// <summary>The rank that is called: honest, but for what a test changes.</summary>
/// <param name="shape">Its own.</param>
sealed class FakeLowerRank(GroupShape shape) : Reduce.ReduceBase
{
    /// <summary>What it is to say otherwise.</summary>
    public Action<RankHello> ChangeHello { get; init; } = _ => { };

    /// <summary>What it answers instead of a hello; null: a hello.</summary>
    public RankMessage? Instead { get; init; }

    /// <summary>It ends the stream where it should say hello.</summary>
    public bool HangsUp { get; init; }

    /// <summary>How it echoes on a link, of a kind.</summary>
    public Action<IPeerLink> Echo { get; init; } = link => LinkTiming.Echo(link);

    public override async Task Exchange(IAsyncStreamReader<RankMessage> requests, IServerStreamWriter<RankMessage> responses, ServerCallContext context)
    {
        var ended = context.CancellationToken;
        if (!await requests.MoveNext(ended) || HangsUp) return;
        await using var listener = DirectListener.Open(IPAddress.Loopback, null, WaitExtensions.Deadline, NullLogger.Instance, ended);
        var hello = shape.ToHello(PeerLinkPreference.Auto);
        hello.Direct = listener.Offer;
        ChangeHello(hello);
        await responses.WriteAsync(Instead ?? new RankMessage { Hello = hello }, ended);
        await using var stream = new GrpcPeerLink(requests, responses, "the caller", WaitExtensions.Deadline, ended);
        await using var giveUp = ended.Register(() => stream.Close("the call is over"));
        _ = EchoOnDirectAsync(listener);
        await OnThread(stream);
        await stream.Ended;
    }

    async Task EchoOnDirectAsync(DirectListener listener)
    {
        if (await listener.Accepted is not { } accepted) return;
        await using var direct = new TcpPeerLink(accepted.Connection, accepted.Stream, "the caller");
        await OnThread(direct);
    }

    Task OnThread(IPeerLink link) => Task.Factory.StartNew(
        () =>
        {
            try
            {
                Echo(link);
            }
            catch (PeerLinkException)
            {
                // The caller has left: what it makes of that is what the test looks at.
            }
        },
        CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}

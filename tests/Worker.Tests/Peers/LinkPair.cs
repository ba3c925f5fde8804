using System.Net;
using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Kernels;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Peers;
using LlamaCluster.Worker.Tests.Fakes;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Worker.Tests.Peers;

/// <summary>Both ends of a link on loopback.</summary>
sealed class LinkPair : IAsyncDisposable
{
    /// <summary>Kinds that a test is run for: TCP, the same encrypted, a gRPC stream, and shared memory where the system has it.</summary>
    public static readonly TheoryData<string> Kinds = SharedMemory.IsSupported ? ["tcp", "tls", "grpc", "shm"] : ["tcp", "tls", "grpc"];

    /// <summary>Those that are no gRPC stream.</summary>
    public static readonly TheoryData<string> DirectKinds = SharedMemory.IsSupported ? ["tcp", "tls", "shm"] : ["tcp", "tls"];

    readonly List<IDisposable> _disposables = [];
    LoopbackService? _server;

    LinkPair(IPeerLink first, IPeerLink second) => (First, Second) = (first, second);

    public IPeerLink First { get; }

    public IPeerLink Second { get; }

    public static Task<LinkPair> ConnectAsync(string kind, TimeSpan? timeout = null) => kind switch
    {
        "tcp" => ConnectTcpAsync(null, timeout ?? WaitExtensions.Deadline),
        "tls" => ConnectTlsAsync(timeout ?? WaitExtensions.Deadline),
        "shm" => Task.FromResult(ConnectShared(timeout ?? WaitExtensions.Deadline)),
        _ => ConnectGrpcAsync(timeout ?? WaitExtensions.Deadline),
    };

    /// <summary>A TCP link, and a socket in the hands of the test at the other end.</summary>
    public static async Task<(TcpPeerLink Link, Socket Raw)> ConnectRawAsync(TimeSpan? timeout = null)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var raw = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await raw.ConnectAsync(listener.LocalEndpoint);
        var connection = PeerSocket.Over(await listener.AcceptSocketAsync(), timeout ?? WaitExtensions.Deadline);
        return (new TcpPeerLink(connection, connection, "rank 1"), raw);
    }

    public async ValueTask DisposeAsync()
    {
        await First.DisposeAsync();
        await Second.DisposeAsync();
        foreach (var disposable in _disposables) disposable.Dispose();
        if (_server is not null) await _server.DisposeAsync();
    }

    static async Task<LinkPair> ConnectTlsAsync(TimeSpan timeout)
    {
        using var authority = new TestAuthority();
        var (certificate, key) = authority.Issue("node");
        var tls = ClusterTls.Load(new TlsFiles(certificate, key, authority.Certificate));
        var pair = await ConnectTcpAsync(tls, timeout);
        pair._disposables.Add(tls);
        return pair;
    }

    static async Task<LinkPair> ConnectTcpAsync(ClusterTls? tls, TimeSpan timeout)
    {
        await using var listener = DirectListener.Open(IPAddress.Loopback, tls, timeout, NullLogger.Instance, CancellationToken.None);
        var dialled = await DirectConnection.DialAsync(
            "127.0.0.1", (int)listener.Offer.Port, listener.Offer.Token.Memory, tls, timeout, CancellationToken.None).Soon();
        var accepted = await listener.Accepted.Soon();
        Assert.NotNull(accepted);
        return new LinkPair(new TcpPeerLink(dialled.Connection, dialled.Stream, "rank 0"), new TcpPeerLink(accepted.Connection, accepted.Stream, "rank 1"));
    }

    static LinkPair ConnectShared(TimeSpan timeout)
    {
        var second = SharedMemoryLink.Create("rank 1", timeout, out var name, out var token);
        return new LinkPair(SharedMemoryLink.Open(name, token, "rank 0", timeout), second);
    }

    static async Task<LinkPair> ConnectGrpcAsync(TimeSpan timeout)
    {
        var callee = new Callee(timeout);
        var server = await LoopbackService.StartAsync(callee);
        GrpcChannel channel = new PeerChannels().Open(server.Address);
        var call = new Reduce.ReduceClient(channel).Exchange();
        var first = new GrpcPeerLink(call.ResponseStream, call.RequestStream, "rank 0", timeout, CancellationToken.None);
        return new LinkPair(first, await callee.Link.Task.Soon()) { _server = server, _disposables = { call, channel } };
    }

    sealed class Callee(TimeSpan timeout) : Reduce.ReduceBase
    {
        public TaskCompletionSource<GrpcPeerLink> Link { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override async Task Exchange(IAsyncStreamReader<RankMessage> requests, IServerStreamWriter<RankMessage> responses, ServerCallContext context)
        {
            var link = new GrpcPeerLink(requests, responses, "rank 1", timeout, context.CancellationToken);
            Link.SetResult(link);
            await link.Ended;
        }
    }
}

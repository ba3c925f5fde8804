using System.Collections.Concurrent;
using System.Net;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Protos;
using LlamaCluster.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>A worker as far as a coordinator can tell: it registers, loads and runs steps over real gRPC. Tests tell it how to misbehave.</summary>
sealed class FakeWorker : IAsyncDisposable
{
    readonly ConcurrentDictionary<ConnectionContext, bool> _connections = [];
    readonly CancellationTokenSource _dead = new();
    WebApplication _app = null!;
    Task _membership = Task.CompletedTask;
    readonly TaskCompletionSource _prepared = new(TaskCreationOptions.RunContinuationsAsynchronously);
    SyncPoint? _silence;

    FakeWorker(string name) => Name = name;

    public string Name { get; }

    public Uri Address { get; private set; } = null!;

    /// <summary>The id it was last given.</summary>
    public WorkerId Id { get; set; } = new("fake");

    /// <summary>Of its registration.</summary>
    public PeerKey Key { get; private set; } = PeerKey.Create();

    /// <summary>What its calls of the coordinator carry.</summary>
    public Metadata Headers => Key.ToHeaders(Id);

    /// <summary>The highest view it was assigned; it says so in its heartbeats.</summary>
    public ulong ViewVersion { get; set; }

    public FakeStage? Stage { get; set; }

    /// <summary>KV blocks it says it has room for; null: as many as asked for.</summary>
    public uint? KvBlocks { get; set; }

    public ConcurrentQueue<AssignRequest> Assigned { get; } = new();

    /// <summary>Completes when it was asked to load a shard ahead.</summary>
    public Task Prepared => _prepared.Task;

    /// <summary>What the answer to its last heartbeat said.</summary>
    public Latest<bool> StandsBy { get; } = new(false);

    /// <summary>What it answers to an assignment instead of loading; null: it loads.</summary>
    public Func<AssignRequest, IServerStreamWriter<LoadProgress>, CancellationToken, Task>? OnAssign { get; set; }

    /// <summary>What it answers to the handshake of steps; null: the right thing.</summary>
    public Func<OpenSteps, StepReply>? OnOpen { get; set; }

    /// <summary>Sees each step and the usual reply, and gives what to send instead.</summary>
    public Func<StepPlan, StepReply, Task<StepReply[]>> OnStep { get; set; } = (_, usual) => Send(usual);

    /// <summary>What it answers when it is to measure its way to another worker.</summary>
    public Func<MeasureLinkRequest, CancellationToken, Task<MeasureLinkReply>> OnMeasure { get; set; } =
        (_, _) => Task.FromResult(new MeasureLinkReply { RoundTripSeconds = 1e-4, BytesPerSecond = 1e9 });

    public CancellationToken Dead => _dead.Token;

    public void Prepare() => _prepared.TrySetResult();

    public static Task<StepReply[]> Send(params StepReply[] replies) => Task.FromResult(replies);

    /// <summary>From now on each step stops at the point that is given back, until the test lets them go.</summary>
    public SyncPoint HoldSteps()
    {
        var held = new SyncPoint();
        OnStep = async (_, usual) =>
        {
            await held.PassAsync();
            return [usual];
        };
        return held;
    }

    /// <summary>From now on no heartbeat is sent, until the test lets them go on.</summary>
    public SyncPoint FallSilent() => _silence = new SyncPoint();

    public static async Task<FakeWorker> StartAsync(string name, int port = 0)
    {
        var worker = new FakeWorker(name);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(worker).AddClusterRpc().AddLargeMessages<FakeAssignments>().AddLargeMessages<FakeSteps>();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.Use(next => connection =>
            {
                worker._connections.TryAdd(connection, true);
                return next(connection);
            });
        }));
        worker._app = builder.Build();
        worker._app.MapGrpcService<FakeIdentity>();
        worker._app.MapGrpcService<FakeAssignments>();
        worker._app.MapGrpcService<FakeSteps>();
        worker._app.MapGrpcService<FakeLinks>();
        await worker._app.StartAsync();
        worker.Address = new Uri(worker._app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses.Single());
        return worker;
    }

    /// <summary>Registers, and sends heartbeats until it dies; when it was forgotten it registers again.</summary>
    public Task JoinAsync(Uri coordinator, Action<RegisterRequest>? change = null)
    {
        var registered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _membership = StayAsync(coordinator, change, registered);
        return registered.Task.Soon();
    }

    /// <summary>As if its process had been killed or its cable cut: no word to anybody.</summary>
    public async Task DieAsync()
    {
        await _dead.CancelAsync();
        foreach (var connection in _connections.Keys) connection.Abort();
        await _membership.Soon();
        await _app.StopAsync(new CancellationToken(canceled: true));
    }

    public async ValueTask DisposeAsync()
    {
        if (!_dead.IsCancellationRequested) await DieAsync();
        await _app.DisposeAsync();
        _dead.Dispose();
    }

    async Task StayAsync(Uri coordinator, Action<RegisterRequest>? change, TaskCompletionSource registered)
    {
        using var channel = new PeerChannels().Open(coordinator);
        var client = new Wire.Membership.MembershipClient(channel);
        while (!Dead.IsCancellationRequested)
            try
            {
                var request = new RegisterRequest
                {
                    ProtocolVersion = ProtocolVersion.Current,
                    Name = Name,
                    Address = PeerAddress.Format(Address),
                    Key = (Key = PeerKey.Create()).ToMessage(),
                };
                change?.Invoke(request);
                var reply = await client.RegisterAsync(request, cancellationToken: Dead);
                Id = new WorkerId(reply.WorkerId);
                await BeatAsync(client, TimeSpan.FromMilliseconds(reply.HeartbeatIntervalMilliseconds), registered);
            }
            catch (Exception e) when (e is RpcException { StatusCode: StatusCode.NotFound or StatusCode.Unauthenticated }
                or OperationCanceledException or IOException or HttpRequestException)
            {
                // forgotten, or dead
            }
            catch (RpcException e)
            {
                registered.TrySetException(e);
                return;
            }
    }

    async Task BeatAsync(Wire.Membership.MembershipClient client, TimeSpan interval, TaskCompletionSource registered)
    {
        using var call = client.Heartbeat(Headers, cancellationToken: Dead);
        using var timer = new PeriodicTimer(interval);
        for (ulong number = 1; ; number++)
        {
            await call.RequestStream.WriteAsync(
                new HeartbeatRequest { WorkerId = Id.Value, ViewVersion = ViewVersion, SequenceNumber = number, State = WorkerState.Idle });
            if (!await call.ResponseStream.MoveNext(Dead)) return;
            StandsBy.Update(_ => call.ResponseStream.Current.StandsBy);
            registered.TrySetResult();
            await timer.WaitForNextTickAsync(Dead);
            if (_silence is { } silence) await silence.PassAsync().WaitAsync(Dead);
        }
    }
}

using System.Diagnostics.Metrics;
using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Planning.Plans;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>A coordinator process: everything in it is the product's own, down to the calls that it makes and answers.</summary>
sealed class SimCoordinator : IDisposable
{
    const string ReplicaName = "replica-0";

    readonly SimCluster _cluster;
    readonly Latest<ClusterStatus> _status = new(ClusterStatus.Starting);
    readonly CoordinatorMetrics _metrics;
    readonly WorkerRegistry _registry;
    readonly MembershipService _membership;
    readonly ReplicaRouter _router;

    /// <summary>To be called in the process.</summary>
    public SimCoordinator(SimCluster cluster, SimProcess process, SupervisorOptions options, ulong epoch)
    {
        (_cluster, Process, Epoch) = (cluster, process, epoch);
        var (clock, peers, deadlines) = (process.Clock, cluster.Network.From(process), options.Deadlines);
        var (pulse, owned) = (new Pulse(clock), new ClusterOwnership(new string('c', 32), epoch));
        _metrics = new CoordinatorMetrics(new NoMeters(), options.Model);
        _registry = new WorkerRegistry(deadlines, owned, pulse, clock, Log<WorkerRegistry>());
        var ownership = new SettledOwnership(_registry);
        ownership.Settle(owned);
        var replica = new Replica(ReplicaName, options.Engine, deadlines, options.Model, _metrics, clock, Log<Replica>());
        var assignments = new AssignmentCaller(peers, deadlines, clock, Log<AssignmentCaller>());
        var links = new LinkMeter(new PeerChannels(), clock, Log<LinkMeter>());   // all workers are on one host: there are none
        var adapters = new ViewAdapters(options.Adapters, _registry, ownership, assignments, deadlines, clock);
        var stages = new ViewStages(options, ownership, _registry, replica, links, assignments, adapters, peers, _metrics, pulse, clock, Log<GrpcPipeline>());
        var supervisor = new ClusterSupervisor(
            options, _registry, stages, replica, _status, new ViewLog(clock), new Readiness(), _metrics, clock, Log<ClusterSupervisor>());
        _router = new ReplicaRouter([replica], new SequenceRules(options.VocabularySize, options.MaxSequenceLength));
        _membership = new MembershipService(
            _registry, new WorkerConfirmation(peers, clock), ownership, options.Model, deadlines, new Lifetime(), clock, Log<MembershipService>());
        Listen();
        process.Begin(() => replica.RunAsync(CancellationToken.None));
        process.Begin(() => supervisor.RunAsync(CancellationToken.None));
    }

    /// <summary>The runtime keeps a meter, and with it all that its instruments look at, until it is disposed of.</summary>
    public void Dispose() => _metrics.Dispose();

    public SimProcess Process { get; }

    public ulong Epoch { get; }

    public IGenerationEngine Engine => _router;

    public ClusterStatus Status => _status.Value;

    public MembershipSnapshot Members => _registry.Snapshot;

    public SchedulerReadout Scheduler => _metrics.Read(ReplicaName).Now;

    public SimPositions Positions => PositionsOf(_metrics.Read(ReplicaName));

    static SimPositions PositionsOf(ReplicaReadout read) => new(read.PositionsKept, read.PositionsFilled, read.PositionsComputed);

    void Listen()
    {
        var server = new SimServer(Process);
        server.Serve<Wire.RegisterRequest, Wire.RegisterReply>("/llamacluster.v1.Membership/Register", call => AnswerAsync(call, _membership.Register));
        server.Serve<Wire.DrainRequest, Wire.DrainReply>("/llamacluster.v1.Membership/Drain", call => AnswerAsync(call, _membership.Drain));
        server.Serve<Wire.HeartbeatRequest, Wire.HeartbeatReply>("/llamacluster.v1.Membership/Heartbeat", call =>
        {
            Check(call.Headers);
            return _membership.Heartbeat(call.Requests, call.Responses, new Context(call.Headers, call.Cancelled));
        });
        _cluster.Network.Listen(SimCluster.CoordinatorAddress, server);
    }

    async Task AnswerAsync<TRequest, TResponse>(SimServed<TRequest, TResponse> call, Func<TRequest, ServerCallContext, Task<TResponse>> answer)
    {
        if (!await call.Requests.MoveNext(call.Cancelled)) return;
        if (call.Requests.Current is not Wire.RegisterRequest) Check(call.Headers);
        await call.Responses.WriteAsync(await answer(call.Requests.Current, new Context(call.Headers, call.Cancelled)));
    }

    /// <summary>What the product's server checks of every call but Register.</summary>
    void Check(Metadata headers)
    {
        var worker = headers.GetValue(PeerKey.WorkerHeader) ?? "";
        if (!WorkerId.IsValid(worker) || !_registry.IsKeyOf(new WorkerId(worker), headers.GetValue(PeerKey.Header)))
            throw new RpcException(new Status(StatusCode.Unauthenticated, "the call shows no key of a worker that is registered here"));
    }

    ILogger<T> Log<T>() => _cluster.Simulator.IsLogged ? new NotedLog<T>(Process) : NullLogger<T>.Instance;

    sealed class NotedLog<T>(SimProcess process) : ILogger<T>
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel)) process.Simulator.Note($"{process.Name}: {typeof(T).Name}: {formatter(state, exception)} {exception}");
            if (logLevel >= LogLevel.Critical) process.Simulator.Fail($"{process.Name}: {formatter(state, exception)} {exception}");
        }
    }

    sealed class NoMeters : IMeterFactory
    {
        public Meter Create(MeterOptions options) => new(options);

        public void Dispose() { }
    }

    sealed class Lifetime : IHostApplicationLifetime
    {
        public CancellationToken ApplicationStarted => default;

        public CancellationToken ApplicationStopping => default;

        public CancellationToken ApplicationStopped => default;

        public void StopApplication() { }
    }

    /// <summary>What the membership service looks at of a call.</summary>
    sealed class Context : ServerCallContext
    {
        readonly Metadata _headers;
        readonly CancellationToken _cancelled;
        readonly DefaultHttpContext _http = new();

        public Context(Metadata headers, CancellationToken cancelled)
        {
            (_headers, _cancelled) = (headers, cancelled);
            foreach (var header in headers) _http.Request.Headers[header.Key] = header.Value;
            UserState["__HttpContext"] = _http;
        }

        protected override string MethodCore => "";

        protected override string HostCore => "";

        protected override string PeerCore => "simulated";

        protected override DateTime DeadlineCore => DateTime.MaxValue;

        protected override Metadata RequestHeadersCore => _headers;

        protected override CancellationToken CancellationTokenCore => _cancelled;

        protected override Metadata ResponseTrailersCore { get; } = [];

        protected override Status StatusCore { get; set; }

        protected override WriteOptions? WriteOptionsCore { get; set; }

        protected override AuthContext AuthContextCore { get; } = new(null, []);

        protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) => throw new NotSupportedException();

        protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => Task.CompletedTask;
    }
}

using Grpc.Core;
using LlamaCluster.Cluster;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Config;
using LlamaCluster.Worker;
using LlamaCluster.Worker.Execution;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.Orders;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Chaos.Tests.Simulation;

/// <summary>What a machine is like.</summary>
/// <param name="MemoryBytes">For weights and KV; 0: enough.</param>
/// <param name="StepTime">What a step takes, at the least.</param>
/// <param name="LoadTime">What reading a layer takes.</param>
sealed record SimMachine(string Name, Uri Address, long MemoryBytes, TimeSpan StepTime, TimeSpan LoadTime, int KvBlocks)
{
    /// <summary>How likely the loading of a shard fails.</summary>
    public double LoadFailures { get; init; }

    /// <summary>Its worker keeps what it sends on.</summary>
    public bool HasJournal { get; init; }
}

/// <summary>
/// A worker process: registers, beats, loads, runs steps, leaves. It speaks the protocols as the real one does; that it computes numbers of a
/// <see cref="SimModel"/> is all that is different for others.
/// </summary>
sealed class SimWorker
{
    static readonly TimeSpan Retry = TimeSpan.FromSeconds(0.2);

    readonly SimCluster _cluster;
    readonly ClusterOwner _owner;
    readonly HashSet<int> _layers = [];   // whose weights are in memory
    readonly SimJournal? _journal;
    CancellationTokenSource? _loading;
    SimLeft? _left;      // by the last view
    SimLeft? _offered;   // to other workers
    ulong _offeredTo;    // a view
    ulong _view;
    bool _isLeaving;

    public SimWorker(SimCluster cluster, SimMachine machine, SimProcess process)
    {
        (_cluster, Machine, Process) = (cluster, machine, process);
        _owner = new ClusterOwner(process.Clock);
        Peers = cluster.Network.From(process);
        _journal = machine.HasJournal ? new SimJournal() : null;
        var server = new SimServer(process);
        server.Serve<Wire.ConfirmRequest, Wire.ConfirmReply>("/llamacluster.v1.Identity/Confirm", ConfirmAsync);
        server.Serve<Wire.AssignRequest, Wire.LoadProgress>("/llamacluster.v1.Assignments/Assign", call => LoadAsync(call, isAssigned: true));
        server.Serve<Wire.AssignRequest, Wire.LoadProgress>("/llamacluster.v1.Assignments/Prepare", call => LoadAsync(call, isAssigned: false));
        server.Serve<Wire.StepRequest, Wire.StepReply>("/llamacluster.v1.Steps/Run", RunStepsAsync);
        server.Serve<Wire.FetchKvRequest, Wire.KvChunk>("/llamacluster.v1.KvTransfer/Fetch", GiveKvAsync);
        server.Serve<SimFrame, SimFrame>(SimView.Activations, TakeActivationsAsync);
        server.Serve<SimFrame, SimFrame>(SimRanks.Link, LinkAsync);
        cluster.Network.Listen(machine.Address, server);
        process.Begin(() => RunAsync());
    }

    public SimMachine Machine { get; }

    public SimProcess Process { get; }

    public IPeerConnector Peers { get; }

    /// <summary>The view that it takes steps of; null: none.</summary>
    public SimView? View { get; private set; }

    /// <summary>Asks to be let go, and ends when it is.</summary>
    public void Leave()
    {
        if (_isLeaving) return;
        _isLeaving = true;
        Process.Begin(async () =>
        {
            using var connection = Peers.Connect(SimCluster.CoordinatorAddress);
            try
            {
                var drained = new Wire.Membership.MembershipClient(connection.Calls).DrainAsync(new Wire.DrainRequest { WorkerId = Id }, _owner.Headers);
                await Task.WhenAny(drained.ResponseAsync, Process.PassAsync(TimeSpan.FromSeconds(30)));
            }
            catch (RpcException)
            {
                // It leaves all the same.
            }
            _cluster.Kill(this, silently: false);
        });
    }

    string Id { get; set; } = "";

    Task ConfirmAsync(SimServed<Wire.ConfirmRequest, Wire.ConfirmReply> call) => AnswerAsync(call, request => _owner.Key is { } key
        ? new Wire.ConfirmReply { Proof = key.Prove(request.Challenge) }
        : throw new RpcException(new Status(StatusCode.FailedPrecondition, "it is not registering")));

    internal static async Task AnswerAsync<TRequest, TResponse>(SimServed<TRequest, TResponse> call, Func<TRequest, TResponse> answer)
    {
        if (await call.Requests.MoveNext(call.Cancelled)) await call.Responses.WriteAsync(answer(call.Requests.Current));
    }

    /// <summary>Registers again and again, for as long as the process lives.</summary>
    async Task RunAsync()
    {
        while (!_isLeaving)
        {
            try
            {
                using var connection = Peers.Connect(SimCluster.CoordinatorAddress);
                var client = new Wire.Membership.MembershipClient(connection.Calls);
                var reply = await client.RegisterAsync(Card()).ResponseAsync.WaitAsync(RpcSettings.CallDeadline, Process.Clock);
                if (_owner.Complete(new(reply.WorkerId), reply.ClusterId, reply.Epoch)) (_view, _left, _offered, _offeredTo) = (0, null, null, 0);
                Id = reply.WorkerId;
                await BeatAsync(client, reply);
            }
            catch (Exception e) when (e is RpcException or OperationCanceledException or InvalidOperationException or TimeoutException)
            {
                _cluster.Simulator.Note($"{Process.Name}: not registered: {e.Message}");
            }
            await Process.PassAsync(Retry + _cluster.Simulator.Random.Time(Retry, 10 * Retry));
        }
    }

    Wire.RegisterRequest Card() => new()
    {
        ProtocolVersion = ProtocolVersion.Current,
        Name = Machine.Name,
        Address = Machine.Address.GetLeftPart(UriPartial.Authority),
        Capabilities = new Wire.Capabilities { MemoryBytes = (ulong)Machine.MemoryBytes, Threads = 1 },
        Profile = new Wire.Profile { HostId = "one", HostProcessors = 64, MemoryReadBytesPerSecond = 1e10, MultiplyAddsPerSecond = 1e10 },
        Key = _owner.Begin().ToMessage(),
        InstanceId = _owner.InstanceId,
    };

    async Task BeatAsync(Wire.Membership.MembershipClient client, Wire.RegisterReply registered)
    {
        var signs = _owner.Signs;
        using var call = client.Heartbeat(_owner.Headers);
        var interval = TimeSpan.FromMilliseconds(registered.HeartbeatIntervalMilliseconds);
        var timeout = TimeSpan.FromMilliseconds(registered.HeartbeatTimeoutMilliseconds);
        for (ulong number = 1; ; number++)
        {
            await call.RequestStream.WriteAsync(
                new Wire.HeartbeatRequest { WorkerId = registered.WorkerId, ViewVersion = _view, SequenceNumber = number, State = State });
            if (!await signs.WaitAsync(call.ResponseStream.MoveNext(CancellationToken.None), timeout, CancellationToken.None)) return;
            signs.Heard();
            await Process.PassAsync(interval);
        }
    }

    Wire.WorkerState State => _isLeaving ? Wire.WorkerState.Draining
        : View is not null ? Wire.WorkerState.Ready
        : _loading is not null ? Wire.WorkerState.Loading
        : Wire.WorkerState.Idle;

    async Task LoadAsync(SimServed<Wire.AssignRequest, Wire.LoadProgress> call, bool isAssigned)
    {
        if (!await call.Requests.MoveNext(call.Cancelled)) return;
        var order = call.Requests.Current.ToOrder();
        if (order.Epoch != _owner.Epoch) throw Refused($"the order is of epoch {order.Epoch}; this worker belongs to epoch {_owner.Epoch}");
        using var loading = CancellationTokenSource.CreateLinkedTokenSource(call.Cancelled);
        if (isAssigned) Accept(order);
        else if (_loading is not null) throw Refused("this worker is loading a shard already");
        if (isAssigned) _loading?.Cancel();
        _loading = loading;
        try
        {
            EndView($"view {order.Plan.ViewVersion} replaces it");
            Offer(order.Plan.ViewVersion, order.KvIsFetched ? _left : null);
            if (!isAssigned || _left?.Numbers != ShardIdentity.OfNumbers(order)) _left = null;
            _left = _left is { } left ? left with { Kept = left.Kept.Within(order.Shape) } : null;
            if (order.KvSources.Count > 0)
            {
                var got = await SimKvTransfer.FetchAsync(this, order, _left);
                loading.Token.ThrowIfCancellationRequested();   // what is left belongs to a newer order then
                _left = got;
            }
            await ReadWeightsAsync(order, call.Responses, loading.Token);
            var ready = Progress(order, Wire.LoadProgress.Types.Phase.Ready);
            if (isAssigned)
            {
                loading.Token.ThrowIfCancellationRequested();
                var kept = _left?.Kept;
                View = new SimView(_cluster, this, order, Machine.KvBlocks, kept, kept is null ? RanViews.None : _left!.Views, _journal);
                if (kept is not null) ready.Kept = _left!.Views.ToMessage(kept.States);
                if (kept is not null) ready.Kept.Journal = View.JournalOf(kept.States);
                _left = null;
            }
            await call.Responses.WriteAsync(ready);
        }
        finally
        {
            if (_loading == loading) _loading = null;
        }
    }

    void Offer(ulong view, SimLeft? left) => (_offeredTo, _offered) = (view, left);

    /// <summary>To a worker of a newer view, of which this one may have a part itself.</summary>
    async Task GiveKvAsync(SimServed<Wire.FetchKvRequest, Wire.KvChunk> call)
    {
        if (!await call.Requests.MoveNext(call.Cancelled)) return;
        var request = call.Requests.Current;
        if (_owner.Key?.For(PeerKey.KvTransfer).Matches(call.Headers.GetValue(PeerKey.Header)) is not true)
            throw new RpcException(new Status(StatusCode.Unauthenticated, "the call shows no key to fetch KV of this worker"));
        if (request.Stays)
            while (_offeredTo < request.ViewVersion) await Process.PassAsync(Retry, call.Cancelled);
        else if (request.ViewVersion <= _view) throw Refused($"view {request.ViewVersion} is not above {_view}, the last one accepted here");
        else if (_offeredTo != request.ViewVersion)
        {
            EndView($"view {request.ViewVersion} is without this worker");
            Offer(request.ViewVersion, _left);
        }
        await SimKvTransfer.GiveAsync(request, _offeredTo == request.ViewVersion ? _offered : null, call.Responses);
    }

    void Accept(LoadOrder order)
    {
        var view = order.Plan.ViewVersion;
        if (view <= _view) throw Refused($"view {view} is not above {_view}, the last one accepted here");
        _view = view;
    }

    async Task ReadWeightsAsync(LoadOrder order, IServerStreamWriter<Wire.LoadProgress> responses, CancellationToken cancellation)
    {
        var shard = order.Assignment.Shard.Layers;
        foreach (var layer in Enumerable.Range(shard.First, shard.Count).Where(layer => !_layers.Contains(layer)))
        {
            await Process.PassAsync(Machine.LoadTime, cancellation);
            if (!_cluster.Network.IsSound && _cluster.Simulator.Random.Chance(Machine.LoadFailures))
                throw new RpcException(new Status(StatusCode.Aborted, "the disk had a bad day"));
            _layers.Add(layer);
            await responses.WriteAsync(Progress(order, Wire.LoadProgress.Types.Phase.Loading));
        }
        _layers.RemoveWhere(layer => layer < shard.First || layer >= shard.End);
        cancellation.ThrowIfCancellationRequested();
    }

    Wire.LoadProgress Progress(LoadOrder order, Wire.LoadProgress.Types.Phase phase) => new()
    {
        ViewVersion = order.Plan.ViewVersion,
        ModelDigest = order.Plan.ModelDigest,
        Phase = phase,
        Source = "coordinator",
        BytesTotal = 100,
        BytesDone = 50,
        KvBlockCount = (uint)Math.Min(Machine.KvBlocks, order.KvBlockCount ?? int.MaxValue),
    };

    async Task RunStepsAsync(SimServed<Wire.StepRequest, Wire.StepReply> call)
    {
        var signs = _owner.Signs;
        signs.Heard();
        if (!await call.Requests.MoveNext(call.Cancelled)) return;
        var open = call.Requests.Current.Open ?? throw new InvalidMessageException("the first request must be open");
        if (View is not { } view || view.Version != open.ViewVersion)
        {
            await call.Responses.WriteAsync(SimView.Failed(_view, 0, Wire.StepFailed.Types.Reason.StaleView, $"view {open.ViewVersion} is not here"));
            return;
        }
        if (open.WorkerId != view.Order.Assignment.Worker.Value) throw Refused($"this is not {open.WorkerId}");
        await view.ServeAsync(call, signs);
    }

    async Task TakeActivationsAsync(SimServed<SimFrame, SimFrame> call)
    {
        while (await call.Requests.MoveNext(call.Cancelled))
        {
            var frame = call.Requests.Current;
            if (View is { } view && view.Version == frame.View) view.Take(frame);
            else if (View is null || View.Version > frame.View) return;   // of a view that is over
        }
    }

    /// <summary>A higher rank of the same stage links up.</summary>
    async Task LinkAsync(SimServed<SimFrame, SimFrame> call)
    {
        if (!await call.Requests.MoveNext(call.Cancelled)) return;
        if (View is not { Ranks: { } ranks } view || view.Version != call.Requests.Current.View) throw Refused("no such view is here");
        await ranks.MeetAsync(call.Requests, frame => call.Responses.WriteAsync(frame));
    }

    internal void EndView(string why)
    {
        if (View is not { } old) return;
        View = null;
        old.End(Wire.StepFailed.Types.Reason.StaleView, why);
        if (old.Keep() is var (kept, views)) _left = new SimLeft(kept, views, ShardIdentity.OfNumbers(old.Order));
    }

    static RpcException Refused(string why) => new(new Status(StatusCode.FailedPrecondition, why));
}

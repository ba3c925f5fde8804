using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Weights;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.KvTransfer;
using LlamaCluster.Worker.Orders;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Loading;

/// <summary>
/// Keeps the worker's one shard, which only ever moves to a higher view. An order that is not newer than the last accepted one is refused. A
/// newer one cancels the loading of an older one. Whatever parts of the model are in memory stay there for as long as orders ask for them, also if
/// the loading of a shard breaks off, on this worker or on another. What becomes of the KV of a view that is over is up to <see cref="KvKeeper"/>.
/// </summary>
sealed class ShardKeeper(ShardLoader loader, KvFetcher fetcher, Readiness readiness, WorkerLifetime lifetime, TimeProvider time) : IAsyncDisposable
{
    /// <summary>How long a running step may delay a new view. Its order may grant more.</summary>
    static readonly TimeSpan StepDeadline = TimeSpan.FromMinutes(1);

    readonly Lock _lock = new();
    readonly SemaphoreSlim _turn = new(1);
    readonly KvKeeper _kv = new();
    CancellationTokenSource? _loading;
    HeldParts? _parts;
    HeldModel? _model;
    HeldShard? _current;
    ShardAdapters? _adapters;  // of the model's shard
    ulong _view;
    PeerKey? _viewKey;
    bool _serves, _standsBy;

    /// <summary>The shard that is ready, if one is.</summary>
    public HeldShard? Current
    {
        get
        {
            lock (_lock) return _current;
        }
    }

    /// <summary>The last view that was accepted. 0: none.</summary>
    public ulong ViewVersion
    {
        get
        {
            lock (_lock) return _view;
        }
    }

    /// <summary>What workers of the last accepted view show. Null: none was accepted.</summary>
    public PeerKey? ViewKey
    {
        get
        {
            lock (_lock) return _viewKey;
        }
    }

    public ShardStatus Status
    {
        get
        {
            lock (_lock)
            {
                var state = lifetime.IsLeaving ? Wire.WorkerState.Draining
                    : _current is not null ? Wire.WorkerState.Ready
                    : _loading is not null ? Wire.WorkerState.Loading
                    : Wire.WorkerState.Idle;
                return new ShardStatus(state, _view, _parts?.Digest, _current?.Order.Assignment.Shard, _current?.ResidentBytes ?? _parts?.Loaded.Bytes ?? 0);
            }
        }
    }

    /// <summary>Set whenever <see cref="Status"/> has changed.</summary>
    public StateSignal Changed { get; } = new();

    /// <summary>Loads the shard of an order, in place of the one that the worker holds.</summary>
    /// <exception cref="RpcException">It cannot be loaded. The status says why.</exception>
    /// <exception cref="TimeoutException">A step of the view before does not end.</exception>
    /// <exception cref="OperationCanceledException">The caller gave up, or a newer order came.</exception>
    public async Task ReplaceAsync(LoadOrder order, LoadProgressFeed progress, CancellationToken cancellation)
    {
        using var loading = CancellationTokenSource.CreateLinkedTokenSource(cancellation, lifetime.Closing);
        Accept(order, loading);
        await InTurnAsync(loading, () => ReplaceInTurnAsync(order, progress, loading.Token));
    }

    /// <summary>
    /// Loads the weights of a shard that the worker may come to get. The next order cancels this, and finds what was loaded. A view that the worker
    /// still had is over: whoever is asked to prepare is in none. If its view is not above the last accepted one, the request is late, and is refused.
    /// </summary>
    /// <exception cref="RpcException">They cannot be loaded. The status says why.</exception>
    /// <exception cref="OperationCanceledException">The caller gave up, or an order came.</exception>
    public async Task PrepareAsync(LoadOrder order, LoadProgressFeed progress, CancellationToken cancellation)
    {
        using var loading = CancellationTokenSource.CreateLinkedTokenSource(cancellation, lifetime.Closing);
        lock (_lock)
        {
            LateOrders.CheckIsAbove(order.Plan.ViewVersion, _view);
            if (_loading is not null) throw new RpcException(new Status(StatusCode.FailedPrecondition, "this worker is loading a shard already"));
            _loading = loading;
        }
        await InTurnAsync(loading, async () =>
        {
            await EndViewAsync();
            _kv.ForgetAll();
            await LoadInTurnAsync(order, null, progress, loading.Token);
            var weights = _model!.Weights;
            if (_model.Slice.IsWhole)
                await Task.Factory.StartNew(
                    () => Rehearsal.Run(weights, ShardLoader.OptionsOf(order)), loading.Token, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            progress.Ready(_model.Source, 0, 0, _parts!.Loaded.Bytes);
        });
    }

    /// <summary>Changes the adapters of the view that runs, while it runs. An order for a newer view cancels this.</summary>
    /// <exception cref="RpcException">The view does not run here, the change is late, or an adapter cannot be loaded. The status says why.</exception>
    /// <exception cref="OperationCanceledException">The caller gave up, or a newer order or change came.</exception>
    public async Task AdaptAsync(AdapterChange change, LoadProgressFeed progress, CancellationToken cancellation)
    {
        using var loading = CancellationTokenSource.CreateLinkedTokenSource(cancellation, lifetime.Closing);
        lock (_lock)
        {
            LateOrders.CheckRuns(change, _current, _view);
            _ = _loading?.CancelAsync();   // of an earlier change: there is no newer view
            _loading = loading;
        }
        await InTurnAsync(loading, async () =>
        {
            var shard = LateOrders.CheckRuns(change, Current, ViewVersion);
            var adapted = await loader.Adapters.ChangeAsync(shard, change, _adapters, progress, loading.Token);
            lock (_lock) _current = adapted;
            progress.Ready(shard.Model.Source, shard.KvBlockCount, shard.KvBlockBytes, adapted.ResidentBytes);
        });
    }

    async Task InTurnAsync(CancellationTokenSource loading, Func<Task> work)
    {
        try
        {
            await _turn.WaitAsync(loading.Token);
            try
            {
                await work();
            }
            finally
            {
                _turn.Release();
            }
        }
        finally
        {
            lock (_lock)
                if (_loading == loading) _loading = null;
            Changed.Set();
        }
    }

    /// <summary>The coordinator says whether this worker is a spare that has all it may come to need: then it is ready without a shard.</summary>
    public void StandBy(bool standsBy)
    {
        lock (_lock) readiness.Set(_serves | (_standsBy = standsBy));
    }

    /// <summary>The worker belongs to another cluster now, which counts its views from the start. What it holds stays.</summary>
    public void ForgetViews()
    {
        lock (_lock) _view = 0;
        _kv.BecomeForeign();
        Changed.Set();
    }

    /// <summary>Gives up weights that no coordinator wants.</summary>
    public async Task UnloadAsync(CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            await EndViewAsync();
            _kv.ForgetAll();
            Forget();
            Free();
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>What this worker has, of the view that is over, of layers that other workers of a newer view have from then on.</summary>
    /// <param name="stays">It has a part in that view too, and gives what is left over when it is assigned that.</param>
    /// <returns>Null: nothing.</returns>
    /// <exception cref="RpcException">FAILED_PRECONDITION: it is in a newer view.</exception>
    public async Task<KvOffer?> OfferAsync(ulong view, bool stays, CancellationToken cancellation)
    {
        if (stays) return await _kv.OfferedAsync(view, cancellation);
        await _turn.WaitAsync(cancellation);
        try
        {
            lock (_lock) LateOrders.CheckIsAbove(view, _view);
            await EndViewAsync();
            return _kv.OfferAll(view);
        }
        finally
        {
            _turn.Release();
            Changed.Set();
        }
    }

    /// <summary>A view runs: all its workers have what they are to begin with.</summary>
    public void ViewRuns() => _kv.EndOffer();

    public async ValueTask DisposeAsync() => await UnloadAsync(CancellationToken.None);

    void Accept(LoadOrder order, CancellationTokenSource loading)
    {
        var view = order.Plan.ViewVersion;
        lock (_lock)
        {
            LateOrders.CheckIsAbove(view, _view);
            _ = _loading?.CancelAsync();   // asynchronous, so that its callbacks do not run under this lock
            (_view, _viewKey, _loading) = (view, order.ViewKey, loading);
        }
        Changed.Set();
    }

    async Task ReplaceInTurnAsync(LoadOrder order, LoadProgressFeed progress, CancellationToken cancellation)
    {
        await EndViewAsync();
        _kv.KeepFor(order);
        await using var intake = new KvIntake(_kv, fetcher, order, time, cancellation);
        await LoadInTurnAsync(order, intake, progress, cancellation);
        intake.Start(_model!.LayoutsOf(order), order.KvBlockCount ?? int.MaxValue, spare: long.MaxValue);
        await intake.CompleteAsync(progress);
        cancellation.ThrowIfCancellationRequested();
        var shard = loader.Open(order, _model, _kv.Kept, _adapters);
        _kv.Forget();   // what the shard has no use for
        lock (_lock) _current = shard;
        Changed.Set();
        Serve(true);
        progress.Ready(shard.Model.Source, shard.KvBlockCount, shard.KvBlockBytes, shard.ResidentBytes, shard.Kept, intake.Fetched);
    }

    /// <summary>The view before is over.</summary>
    async Task LoadInTurnAsync(LoadOrder order, KvIntake? intake, LoadProgressFeed progress, CancellationToken cancellation)
    {
        if (_model is { } model && model.Fits(order) && !await loader.IsRightAsync(order, model, _parts!, progress, cancellation))
        {
            _kv.ForgetAll();   // it was computed with other weights
            Forget();
        }
        else if (_model?.Fits(order) == false) Forget();
        if (_parts is { } other && other.Digest != order.Plan.ModelDigest) Free();
        lock (_lock) _parts ??= new HeldParts(order.Plan.ModelDigest, new LoadedParts());
        _model ??= await loader.LoadAsync(order, _parts, intake, progress, cancellation);
        (var held, _adapters) = (_adapters, null);   // if the loading breaks off, they are gone
        _adapters = await loader.Adapters.LoadAsync(order, _model, held, progress, cancellation);
    }

    async Task EndViewAsync()
    {
        if (_current is not { } old) return;
        Serve(false);
        var deadline = old.Order.StepTimeout > StepDeadline ? old.Order.StepTimeout : StepDeadline;
        try
        {
            await old.Executor.DisposeAsync().AsTask().WaitAsync(deadline);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"a step of view {old.Order.Plan.ViewVersion} still runs after {deadline.TotalSeconds} s");
        }
        if (old.Executor.TakeKept() is { } kept) _kv.Add(kept, old.Order);
        lock (_lock) _current = null;
    }

    void Serve(bool serves)
    {
        lock (_lock) readiness.Set((_serves = serves) | _standsBy);
    }

    /// <summary>Takes the shard apart. Its parts stay.</summary>
    void Forget()
    {
        _adapters?.Dispose();
        _model?.Dispose();
        (_adapters, _model) = (null, null);
        Changed.Set();
    }

    void Free()
    {
        HeldParts? parts;
        lock (_lock) (parts, _parts) = (_parts, null);
        parts?.Dispose();
        Changed.Set();
    }
}

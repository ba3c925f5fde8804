using System.Threading.Channels;
using Grpc.Core;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Weights;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Worker.Orders;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Loading;

/// <summary>
/// Keeps the worker's one shard, which only ever moves to a higher view. An order that is not newer than the last accepted one is refused. A
/// newer one cancels the loading of an older one. Whatever parts of the model are in memory stay there for as long as orders ask for them, also if
/// the loading of a shard breaks off, on this worker or on another.
/// </summary>
sealed class ShardKeeper(ShardLoader loader, Readiness readiness, WorkerLifetime lifetime) : IAsyncDisposable
{
    /// <summary>How long a running step may delay a new view. Its order may grant more.</summary>
    static readonly TimeSpan StepDeadline = TimeSpan.FromMinutes(1);

    readonly Lock _lock = new();
    readonly SemaphoreSlim _turn = new(1);
    CancellationTokenSource? _loading;
    HeldParts? _parts;
    HeldModel? _model;
    HeldShard? _current;
    ulong _view;
    PeerKey? _viewKey;

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
    /// still had is over: whoever is asked to prepare is in none.
    /// </summary>
    /// <exception cref="RpcException">They cannot be loaded. The status says why.</exception>
    /// <exception cref="OperationCanceledException">The caller gave up, or an order came.</exception>
    public async Task PrepareAsync(LoadOrder order, LoadProgressFeed progress, CancellationToken cancellation)
    {
        using var loading = CancellationTokenSource.CreateLinkedTokenSource(cancellation, lifetime.Closing);
        lock (_lock)
        {
            if (_loading is not null) throw new RpcException(new Status(StatusCode.FailedPrecondition, "this worker is loading a shard already"));
            _loading = loading;
        }
        await InTurnAsync(loading, async () =>
        {
            await LoadInTurnAsync(order, progress, loading.Token);
            progress.Ready(_model!.Source, 0, 0, _parts!.Loaded.Bytes);
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

    /// <summary>The worker belongs to another cluster now, which counts its views from the start. What it holds stays.</summary>
    public void ForgetViews()
    {
        lock (_lock) _view = 0;
        Changed.Set();
    }

    /// <summary>Gives up weights that no coordinator wants.</summary>
    public async Task UnloadAsync(CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            await EndViewAsync();
            Forget();
            Free();
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync() => await UnloadAsync(CancellationToken.None);

    void Accept(LoadOrder order, CancellationTokenSource loading)
    {
        var view = order.Plan.ViewVersion;
        lock (_lock)
        {
            if (view <= _view) throw new RpcException(new Status(StatusCode.FailedPrecondition, $"view {view} is not above {_view}, the last one accepted here"));
            // Asynchronous, so that its callbacks do not run under this lock.
            _ = _loading?.CancelAsync();
            (_view, _viewKey, _loading) = (view, order.ViewKey, loading);
        }
        Changed.Set();
    }

    async Task ReplaceInTurnAsync(LoadOrder order, LoadProgressFeed progress, CancellationToken cancellation)
    {
        await LoadInTurnAsync(order, progress, cancellation);
        var shard = loader.Open(order, _model!);
        lock (_lock) _current = shard;
        Changed.Set();
        readiness.Set(true);
        progress.Ready(shard.Model.Source, shard.KvBlockCount, shard.KvBlockBytes, shard.ResidentBytes);
    }

    async Task LoadInTurnAsync(LoadOrder order, LoadProgressFeed progress, CancellationToken cancellation)
    {
        await EndViewAsync();
        if (_model is { } held && !(held.Fits(order) && await loader.IsRightAsync(order, held, _parts!, progress, cancellation))) Forget();
        if (_parts is { } other && other.Digest != order.Plan.ModelDigest) Free();
        if (_model is null)
        {
            lock (_lock) _parts ??= new HeldParts(order.Plan.ModelDigest, new LoadedParts());
            _model = await loader.LoadAsync(order, _parts, progress, cancellation);
        }
    }

    async Task EndViewAsync()
    {
        if (_current is not { } old) return;
        readiness.Set(false);
        var deadline = old.Order.StepTimeout > StepDeadline ? old.Order.StepTimeout : StepDeadline;
        try
        {
            await old.Executor.DisposeAsync().AsTask().WaitAsync(deadline);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"a step of view {old.Order.Plan.ViewVersion} still runs after {deadline.TotalSeconds} s");
        }
        lock (_lock) _current = null;
    }

    /// <summary>Takes the shard apart. Its parts stay.</summary>
    void Forget()
    {
        _model?.Dispose();
        _model = null;
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

/// <summary>What a worker says about its shard in heartbeats and at registration.</summary>
/// <param name="ViewVersion">The last view that was accepted. 0: none.</param>
/// <param name="HeldDigest">The model of the weights in memory. Null: none.</param>
sealed record ShardStatus(Wire.WorkerState State, ulong ViewVersion, string? HeldDigest, Shard? Shard, long ResidentBytes);

/// <summary>A flag that says that something has changed since it was last cleared.</summary>
sealed class StateSignal
{
    readonly Channel<bool> _changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public void Set() => _changes.Writer.TryWrite(true);

    /// <summary>To be called before one looks: whatever changes later sets the flag again.</summary>
    public void Clear() => _changes.Reader.TryRead(out _);

    /// <summary>Completes once the flag is set.</summary>
    public Task WaitAsync(CancellationToken cancellation) => _changes.Reader.WaitToReadAsync(cancellation).AsTask();
}

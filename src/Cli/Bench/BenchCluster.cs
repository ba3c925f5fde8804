using System.Diagnostics.Metrics;
using System.Globalization;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cli.Up;
using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Kernels;
using LlamaCluster.Planning;
using LlamaCluster.Primitives;
using LlamaCluster.Worker;

namespace LlamaCluster.Cli.Bench;

/// <summary>A coordinator in this process and worker processes, with just the KV cache that the streams need. A worker that dies is not restarted.</summary>
sealed class BenchCluster : IAsyncDisposable
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    readonly CoordinatorHost _coordinator;
    readonly LoadingView _view;

    /// <summary>An empty folder, so that this machine is measured now. An older measurement may be from a busier time.</summary>
    readonly DirectoryInfo _profiles = Directory.CreateTempSubdirectory("llamacluster-bench-");

    readonly List<WorkerProcess> _workers = [];
    readonly List<Task> _watches = [];
    readonly TaskCompletionSource<string> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    BenchCluster(CoordinatorHost coordinator, LoadingView view) => (_coordinator, _view) = (coordinator, view);

    public Uri ApiAddress => _coordinator.ApiAddress;

    public IGenerationEngine Engine => _coordinator.Engine;

    public string ModelName => _coordinator.Model.Name;

    /// <summary>The shards of the current view.</summary>
    public IReadOnlyList<ShardProgress> Shards => _coordinator.Status.Value.Shards;

    public IMeterFactory Meters => _coordinator.Meters;

    /// <summary>The plan that the cluster runs.</summary>
    /// <exception cref="CommandFailedException">The cluster was lost and runs none.</exception>
    public PlanOutcome.Planned Plan => _coordinator.Status.Value.Plan ?? throw new CommandFailedException("the cluster was lost");

    /// <summary>Starts everything and waits until the model is loaded.</summary>
    /// <exception cref="CommandFailedException">These workers cannot load the model.</exception>
    /// <param name="drafts">What guesses in the place of a draft model, or with it; null: nothing is guessed.</param>
    public static async Task<BenchCluster> StartAsync(
        ClusterBenchOptions options, TextWriter error, CancellationToken cancellation, Func<IDraftModel?, IDraftModel>? drafts = null)
    {
        var serving = ToCoordinator(options);
        var coordinator = drafts is null ? CoordinatorHost.Create(serving) : CoordinatorHost.Create(serving, drafts);
        var cluster = new BenchCluster(coordinator, LoadingView.For(error));
        try
        {
            await cluster._coordinator.StartAsync(cancellation);
            await cluster.WithWorkersAsync(working => cluster.StartWorkersAsync(options, working), cancellation);
            await cluster.WithWorkersAsync(cluster.LoadAsync, cancellation);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Does work that needs all workers.</summary>
    /// <exception cref="CommandFailedException">A worker ended meanwhile.</exception>
    public async Task<T> WithWorkersAsync<T>(Func<CancellationToken, Task<T>> work, CancellationToken cancellation)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var working = work(over.Token);
        if (await Task.WhenAny(working, _ended.Task) == working) return await working;
        await over.CancelAsync();
        await ((Task)working).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        throw new CommandFailedException(await _ended.Task);
    }

    /// <summary>The peak of each worker.</summary>
    public IReadOnlyList<long> PeakResidentBytes() => [.. _workers.Select(worker => worker.PeakResidentBytes)];

    public async ValueTask DisposeAsync()
    {
        await _coordinator.StopAsync();
        await Task.WhenAll(_workers.Select(worker => worker.StopAsync(Patience)));
        await Task.WhenAll(_watches);
        foreach (var worker in _workers) worker.Dispose();
        await _coordinator.DisposeAsync();
        _view.Dispose();
        _profiles.Delete(recursive: true);
    }

    static CoordinatorOptions ToCoordinator(ClusterBenchOptions options)
    {
        var load = options.Load;
        var usual = new EngineOptions();
        // Random texts say nothing about how well real texts can be guessed, so speculation is off.
        // One spare block per stream: the scheduler admits no sequence without one.
        var kvTokens = checked(load.Concurrency * (KvBlock.CountFor(load.Positions) + 1) * KvBlock.Positions);
        return new CoordinatorOptions
        {
            ModelPath = options.Model,
            Listen = "http://127.0.0.1:0",
            GrpcListen = "http://127.0.0.1:0",
            Workers = options.Workers,
            MinWorkers = options.Workers,   // figures of fewer would not be those asked for
            TensorParallel = options.TensorParallel,
            ExpertParallel = options.ExpertParallel,
            Streams = load.Concurrency,
            ContextLength = load.Positions,
            Draft = options.Drafts?.Model is { } model ? new DraftOptions(model, "http://127.0.0.1:0") : null,
            Engine = usual with
            {
                Speculate = options.Drafts is not null,
                KvTokens = kvTokens,
                KvType = KvTypeOption.ToWire(load.KvType),
                MaxRunning = Math.Max(usual.MaxRunning, load.Concurrency),
                MaxWaiting = Math.Max(usual.MaxWaiting, load.Concurrency),
            },
        };
    }

    /// <summary>
    /// Starts the first worker alone, because it measures the machine for all of them. Workers get stages and ranks in the order of their names, so that
    /// pinned workers that compute at the same time are on different processors.
    /// </summary>
    async Task<int> StartWorkersAsync(ClusterBenchOptions options, CancellationToken cancellation)
    {
        var (count, load) = (options.Workers, options.Load);
        var processors = load.Pin ? Processors.Allowed() : [];
        var (each, ofDraft) = WorkerMemory.OfEach(count, _coordinator.DraftWeightBytes);
        var digits = $"D{$"{count}".Length}";
        for (var i = 0; i < count; i++)
        {
            var name = $"worker-{(i + 1).ToString(digits, CultureInfo.InvariantCulture)}";
            var threads = Enumerable.Range(i * load.Threads, load.Threads);
            int[]? own = processors.Length == 0 ? null : [.. threads.Select(thread => processors[thread % processors.Length]).Distinct()];
            Start(name, _coordinator.GrpcAddress, each, own);
            if (i == 0) await _coordinator.Members.WaitAsync(now => now.Usable.Any(), cancellation);
        }
        if (_coordinator.DraftGrpcAddress is not { } drafting) return count;
        Start("draft-worker", drafting, ofDraft, null);
        await _coordinator.DraftStatus!.WaitAsync(status => status.IsReady, cancellation);
        return count;

        void Start(string name, Uri coordinator, long memory, int[]? own)
        {
            var worker = WorkerProcess.Start(
                name, coordinator, load.Threads, memory, line => _view.Log.WriteLine($"[{name}] {line}"), options.PeerLink, own, _profiles.FullName);
            _workers.Add(worker);
            _watches.Add(WatchAsync(name, worker));
        }
    }

    async Task WatchAsync(string name, WorkerProcess worker)
    {
        var exitCode = await worker.WaitForExitAsync();
        _ended.TrySetResult($"{name} ended with exit code {exitCode}; the lines above say why");
    }

    async Task<ClusterStatus> LoadAsync(CancellationToken cancellation)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var shown = _view.FollowUntilReadyAsync(_coordinator.Status, over.Token);
        var status = await _coordinator.Status.WaitAsync(status => status.IsReady || status.Trouble.Length > 0, cancellation);
        if (status.IsReady) await shown;
        await over.CancelAsync();
        await shown.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return status.IsReady ? status : throw new CommandFailedException(status.Trouble);
    }
}

using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Testing;
using LlamaCluster.Worker;
using LlamaCluster.Worker.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>A coordinator with real workers, all in this process.</summary>
sealed class RealCluster : IAsyncDisposable
{
    readonly List<(WorkerHost Host, Task<int> Running, CancellationTokenSource Stop)> _workers = [];
    readonly TempFolder _cache = new();

    public required TestCluster Coordinator { get; init; }

    /// <summary>What is to be otherwise than usual with workers that are added.</summary>
    public required Func<WorkerOptions, WorkerOptions> Change { get; init; }

    /// <param name="opened">Called when the coordinator has opened the model.</param>
    public static async Task<RealCluster> StartAsync(
        int workers, CoordinatorOptions? options = null, Func<WorkerOptions, WorkerOptions>? change = null, Action? opened = null)
    {
        var cluster = new RealCluster
        {
            Change = change ?? (usual => usual),
            Coordinator = await TestCluster.StartAsync((options ?? TestCluster.Options) with { Workers = workers }),
        };
        opened?.Invoke();
        for (var i = 0; i < workers; i++) await cluster.AddAsync();
        await cluster.Coordinator.ReadyAsync();
        return cluster;
    }

    /// <returns>When the coordinator counts on the worker.</returns>
    public async Task AddAsync()
    {
        var before = Coordinator.Host.Members.Snapshot.Usable.Count();
        Add(Coordinator.Host.GrpcAddress);
        await Coordinator.MembersAsync(before + 1);
    }

    /// <summary>Adds the draft model's worker.</summary>
    /// <returns>Its index, when there are drafts.</returns>
    public async Task<int> AddDraftingAsync()
    {
        Add(Coordinator.Host.DraftGrpcAddress!);
        var drafting = Coordinator.Host.Services.GetRequiredService<DraftHost>();
        await drafting.Status.WaitAsync(status => status.IsReady, CancellationToken.None).Soon("there are drafts");
        return _workers.Count - 1;
    }

    void Add(Uri coordinator)
    {
        var worker = WorkerHost.Create(Change(new WorkerOptions
        {
            Coordinator = coordinator,
            Threads = 1,
            CacheFolder = _cache.Path,
            MemoryBytes = 1 << 30,
            Name = $"real{_workers.Count}",
        }));
        var stop = new CancellationTokenSource();
        _workers.Add((worker, worker.RunAsync(stop.Token), stop));
    }

    public async Task StopAsync(int index)
    {
        await _workers[index].Stop.CancelAsync();
        Assert.Equal(0, await _workers[index].Running.Soon());
    }

    public async ValueTask DisposeAsync()
    {
        for (var i = 0; i < _workers.Count; i++) await StopAsync(i);
        await Coordinator.DisposeAsync();
        foreach (var worker in _workers) await worker.Host.DisposeAsync();
        _cache.Dispose();
    }
}

using LlamaCluster.Testing;
using LlamaCluster.Worker;
using LlamaCluster.Worker.Hosting;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>A coordinator with real workers, all in this process.</summary>
sealed class RealCluster : IAsyncDisposable
{
    readonly List<(WorkerHost Host, Task<int> Running, CancellationTokenSource Stop)> _workers = [];
    readonly TempFolder _cache = new();

    public required TestCluster Coordinator { get; init; }

    /// <summary>What is to be otherwise than usual with workers that are added.</summary>
    public required Func<WorkerOptions, WorkerOptions> Change { get; init; }

    public static async Task<RealCluster> StartAsync(int workers, CoordinatorOptions? options = null, Func<WorkerOptions, WorkerOptions>? change = null)
    {
        var cluster = new RealCluster { Change = change ?? (usual => usual), Coordinator = await TestCluster.StartAsync((options ?? TestCluster.Options) with { Workers = workers }) };
        for (var i = 0; i < workers; i++) await cluster.AddAsync();
        await cluster.Coordinator.ReadyAsync();
        return cluster;
    }

    /// <returns>When the coordinator counts on the worker.</returns>
    public async Task AddAsync()
    {
        var worker = WorkerHost.Create(Change(new WorkerOptions
        {
            Coordinator = Coordinator.Host.GrpcAddress,
            Threads = 1,
            CacheFolder = _cache.Path,
            MemoryBytes = 1 << 30,
            Name = $"real{_workers.Count}",
        }));
        var stop = new CancellationTokenSource();
        _workers.Add((worker, worker.RunAsync(stop.Token), stop));
        await Coordinator.MembersAsync(_workers.Count);
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

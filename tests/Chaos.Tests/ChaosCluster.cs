using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Testing;

namespace LlamaCluster.Chaos.Tests;

/// <summary>A coordinator in this process, so that a test can look into it, and workers as processes of their own.</summary>
sealed class ChaosCluster : IAsyncDisposable
{
    /// <summary>KV positions: hardly three of the requests that tests send fit at a time, so sequences are preempted too.</summary>
    public const int KvTokens = 768;

    readonly List<CliProcess> _workers = [];
    readonly Dictionary<string, CliProcess> _byName = [];
    int _started;

    ChaosCluster(CoordinatorHost host)
    {
        Host = host;
        Http = new HttpClient { BaseAddress = host.ApiAddress, Timeout = Timeout.InfiniteTimeSpan };
    }

    public CoordinatorHost Host { get; }

    public HttpClient Http { get; }

    public IReadOnlyList<CliProcess> Workers => _workers;

    public static async Task<ChaosCluster> StartAsync(int workers, int wanted, int ranks)
    {
        var host = CoordinatorHost.Create(new CoordinatorOptions
        {
            ModelPath = SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"),
            Listen = "http://127.0.0.1:0",
            GrpcListen = "http://127.0.0.1:0",
            Workers = wanted,
            TensorParallel = ranks,
            Engine = new EngineOptions { KvTokens = KvTokens, MaxRunning = 8 },
            Deadlines = new ClusterDeadlines { WaitForWorkers = CliProcess.Deadline },
        });
        await host.StartAsync();
        var cluster = new ChaosCluster(host);
        for (var i = 0; i < workers; i++) cluster.Add();
        await cluster.ReadyAsync(workers);
        return cluster;
    }

    public void Add()
    {
        var name = $"worker-{++_started}";
        var grpc = Host.GrpcAddress.GetLeftPart(UriPartial.Authority);
        _workers.Add(_byName[name] = CliProcess.Start("worker", "--coordinator", grpc, "--name", name, "--threads", "1", "--memory", "1GB"));
    }

    public Task KillAsync(string name) => EndAsync(_byName[name], "KILL");

    /// <summary>Completes when so many workers serve or could take over at once.</summary>
    public Task<ClusterStatus> ReadyAsync(int workers) => WaitAsync(
        status => status.IsReady && status.Workers.Serving + status.Workers.Spare >= workers && status.Workers.Suspected == 0, $"{workers} workers are ready");

    public async Task<ClusterStatus> WaitAsync(Func<ClusterStatus, bool> condition, string what)
    {
        using var deadline = new CancellationTokenSource(CliProcess.Deadline);
        try
        {
            return await Host.Status.WaitAsync(condition, deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"still waiting for: {what}; the status is {Host.Status.Value}");
        }
    }

    /// <summary>Ends a worker, and does not wait for anybody to notice.</summary>
    public async Task EndAsync(CliProcess worker, string signal)
    {
        _workers.Remove(worker);
        await Signals.SendAsync(signal, worker.Id);
        await worker.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        foreach (var worker in _workers) await worker.DisposeAsync();
        await Host.DisposeAsync();
    }
}

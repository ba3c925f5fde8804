using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Integration.Tests.Network;
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
    readonly Dictionary<CliProcess, int> _machines = [];
    readonly TempFolder _caches = new();
    readonly NamespaceNetwork? _network;
    readonly int _threads;
    readonly bool _hasJournals;
    int _started;

    ChaosCluster(CoordinatorHost host, NamespaceNetwork? network, int threads, bool hasJournals)
    {
        (Host, _network, _threads, _hasJournals) = (host, network, threads, hasJournals);
        Http = new HttpClient { BaseAddress = host.ApiAddress, Timeout = Timeout.InfiniteTimeSpan };
    }

    public CoordinatorHost Host { get; }

    public HttpClient Http { get; }

    public IReadOnlyList<CliProcess> Workers => _workers;

    /// <summary>The one that the next worker is started on.</summary>
    public int FreeMachine => Enumerable.Range(0, int.MaxValue).First(machine => !_machines.ContainsValue(machine));

    /// <param name="model">Null: the demo model.</param>
    /// <param name="threads">Of each worker.</param>
    /// <param name="hasJournals">Workers keep what they send on.</param>
    public static Task<ChaosCluster> StartAsync(
        int workers, int wanted, int ranks, string? model = null, int kvTokens = KvTokens, int threads = 1, bool hasJournals = false) =>
        StartAsync(workers, threads, hasJournals, null, new CoordinatorOptions
        {
            ModelPath = model ?? DemoModel,
            Workers = wanted,
            TensorParallel = ranks,
            Engine = EngineOf(kvTokens),
            Deadlines = new ClusterDeadlines { WaitForWorkers = CliProcess.Deadline },
        });

    /// <summary>Each worker on a machine of its own, which has no weights.</summary>
    /// <param name="least">As few workers serve where there are no others.</param>
    public static Task<ChaosCluster> StartAsync(NamespaceNetwork network, int workers, int least, int ranks) =>
        StartAsync(workers, threads: 1, hasJournals: false, network, new CoordinatorOptions
        {
            ModelPath = DemoModel,
            GrpcListen = $"http://{network.Address}:0",
            Insecure = true,
            Workers = workers,
            MinWorkers = least,
            TensorParallel = ranks,
            Engine = EngineOf(KvTokens),
            Deadlines = new ClusterDeadlines { WaitForWorkers = CliProcess.Deadline },
        });

    static async Task<ChaosCluster> StartAsync(int workers, int threads, bool hasJournals, NamespaceNetwork? network, CoordinatorOptions options)
    {
        var host = CoordinatorHost.Create(options with { Listen = "http://127.0.0.1:0" });
        await host.StartAsync();
        var cluster = new ChaosCluster(host, network, threads, hasJournals);
        try
        {
            for (var i = 0; i < workers; i++) cluster.Add();
            await cluster.ReadyAsync(workers);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    static string DemoModel => SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf");

    static EngineOptions EngineOf(int kvTokens) => new() { KvTokens = kvTokens, MaxRunning = 8 };

    /// <summary>Where there is a network: on a machine that has none.</summary>
    public void Add()
    {
        var name = $"worker-{++_started}";
        var grpc = Host.GrpcAddress.GetLeftPart(UriPartial.Authority);
        string[] command = ["worker", "--coordinator", grpc, "--name", name, "--threads", $"{_threads}", "--memory", "1GB"];
        if (_hasJournals) command = [.. command, "--activation-journal", _caches.File("journals")];
        if (_network is null) _workers.Add(_byName[name] = CliProcess.Start(command));
        else
        {
            var machine = FreeMachine;
            command = [.. command, "--listen", "http://0.0.0.0:0", "--insecure", "--cache", _caches.File(name)];
            _workers.Add(_byName[name] = CliProcess.StartUnder(_network.On(machine, without: Path.GetDirectoryName(DemoModel)), command));
            _machines.Add(_workers[^1], machine);
        }
    }

    public Task KillAsync(string name) => EndAsync(_byName[name], "KILL");

    /// <summary>
    /// Completes when so many workers serve or could take over at once. One that is set aside, since two random deaths in a row hit its shard, counts as
    /// well: it could take over.
    /// </summary>
    public Task<ClusterStatus> ReadyAsync(int workers) => WaitAsync(
        status => status.IsReady && status.Workers.Serving + status.Workers.Spare + status.Workers.SetAside >= workers && status.Workers.Suspected == 0,
        $"{workers} workers are ready");

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

    /// <summary>Ends a worker, and waits until its process is gone, but not for anybody to notice. One that is told to leave takes its time for that.</summary>
    public async Task EndAsync(CliProcess worker, string signal)
    {
        _workers.Remove(worker);
        await Signals.SendAsync(signal, worker.Id);
        try
        {
            await worker.ExitAsync();
        }
        finally
        {
            await worker.DisposeAsync();
            _machines.Remove(worker);
        }
    }

    /// <summary>Tells a worker to leave, and waits until it has.</summary>
    /// <returns>What it wrote.</returns>
    public async Task<string> LeaveAsync(string name)
    {
        await EndAsync(_byName[name], "TERM");
        return _byName[name].Log;
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        foreach (var worker in _workers) await worker.DisposeAsync();
        await Host.DisposeAsync();
        _caches.Dispose();
    }
}

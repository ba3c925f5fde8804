using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Several;

/// <summary>Coordinators that share a Redis, each with a worker of its own, all as processes of their own, with the demo model.</summary>
sealed class SeveralCluster : IAsyncDisposable
{
    readonly string[] _options;

    SeveralCluster(RedisServer redis, string[] options) => (Redis, _options) = (redis, options);

    public RedisServer Redis { get; }

    public List<SeveralNode> Nodes { get; } = [];

    /// <param name="options">Further ones of every coordinator.</param>
    public static async Task<SeveralCluster> StartAsync(int coordinators, params string[] options)
    {
        var cluster = new SeveralCluster(RedisServer.Start(), options);
        for (var i = 0; i < coordinators; i++)
        {
            var node = new SeveralNode($"replica-{(char)('a' + i)}");
            cluster.Nodes.Add(node);
            await cluster.StartAsync(node);
            node.StartWorker();
        }
        await cluster.AllReadyAsync();
        return cluster;
    }

    /// <summary>Starts a node's coordinator, again at the addresses that it had.</summary>
    public Task StartAsync(SeveralNode node) => node.StartAsync(["--state", Redis.Url, .. _options]);

    /// <summary>Completes when every coordinator sees every replica ready.</summary>
    public async Task AllReadyAsync()
    {
        foreach (var node in Nodes)
        {
            await ReadyAnswer.WaitAsync(node.Http, HttpStatusCode.OK);
            await node.SeesAsync(
                replicas => replicas.Count(replica => (string?)replica!["state"] == "ready") == Nodes.Count,
                $"all {Nodes.Count} replicas ready");
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in Nodes) await node.DisposeAsync();
        Redis.Dispose();
    }
}

/// <summary>A coordinator and its worker.</summary>
sealed class SeveralNode(string name) : IAsyncDisposable
{
    readonly List<string> _logs = [];
    string _api = "http://127.0.0.1:0";
    string _grpc = "http://127.0.0.1:0";
    CliProcess? _coordinator;
    CliProcess? _worker;

    public string Name => name;

    public CliProcess Coordinator => _coordinator!;

    public CliProcess Worker => _worker!;

    public HttpClient Http { get; private set; } = null!;

    /// <summary>What its coordinators have written, those that are gone too.</summary>
    public List<string> Logs => [.. _logs, Coordinator.Log];

    public async Task StartAsync(string[] options)
    {
        if (_coordinator is not null)
        {
            _logs.Add(_coordinator.Log);
            await _coordinator.DisposeAsync();
        }
        _coordinator = CliProcess.Start(["coordinator", "--listen", _api, "--grpc-listen", _grpc, "--workers", "1", "--name", name, .. options]);
        var addresses = (await _coordinator.ErrorLineAsync("listening api=")).Split(' ');
        (_api, _grpc) = (addresses[1]["api=".Length..], addresses[2]["grpc=".Length..]);
        Http ??= new HttpClient { BaseAddress = new Uri(_api), Timeout = CliProcess.Deadline };
    }

    public void StartWorker()
        => _worker = CliProcess.Start("worker", "--coordinator", _grpc, "--name", $"worker-of-{name}", "--threads", "1", "--memory", "1GB");

    public async Task KillAsync()
    {
        await Signals.SendAsync("KILL", Coordinator.Id);
        await Coordinator.ExitAsync();
    }

    /// <summary>Asks GET /v1/cluster until it says so.</summary>
    public async Task<JsonArray> SeesAsync(Func<JsonArray, bool> condition, string what)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        using var deadline = new CancellationTokenSource(CliProcess.Deadline);
        JsonArray? replicas = null;
        try
        {
            while (await timer.WaitForNextTickAsync(deadline.Token))
            {
                replicas = (await Http.GetFromJsonAsync<JsonObject>("/v1/cluster", deadline.Token))!["coordinators"]!.AsArray();
                if (condition(replicas)) return replicas;
            }
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"{name} still does not see {what}, but {replicas?.ToJsonString()}\n{Coordinator.Log}");
        }
        throw new InvalidOperationException("the timer ended");
    }

    public async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        if (_worker is not null) await _worker.DisposeAsync();
        if (_coordinator is not null) await _coordinator.DisposeAsync();
    }
}

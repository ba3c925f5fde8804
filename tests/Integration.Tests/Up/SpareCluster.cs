using System.Net;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>A coordinator and workers as processes of their own, with the demo model.</summary>
sealed class SpareCluster : IAsyncDisposable
{
    readonly List<CliProcess> _workers = [];

    SpareCluster(CliProcess coordinator, string api, string grpc)
    {
        (Coordinator, GrpcAddress) = (coordinator, grpc);
        Http = new HttpClient { BaseAddress = new Uri(api), Timeout = CliProcess.Deadline };
    }

    public CliProcess Coordinator { get; }

    public string GrpcAddress { get; }

    public HttpClient Http { get; }

    /// <summary>Workers that serve come first: they are ready before the others start.</summary>
    public static async Task<SpareCluster> StartAsync(int workers, int wanted, params string[] options)
    {
        var coordinator = CliProcess.Start(
            ["coordinator", "--listen", "http://127.0.0.1:0", "--grpc-listen", "http://127.0.0.1:0", "--workers", $"{wanted}", .. options]);
        var addresses = (await coordinator.ErrorLineAsync("listening api=")).Split(' ');
        var cluster = new SpareCluster(coordinator, addresses[1]["api=".Length..], addresses[2]["grpc=".Length..]);
        for (var i = 0; i < wanted; i++) cluster.AddWorker();
        await ReadyAnswer.WaitAsync(cluster.Http, HttpStatusCode.OK);
        for (var i = wanted; i < workers; i++) cluster.AddWorker();
        if (workers > wanted) await coordinator.ErrorLineAsync("is spare, and has loaded");
        return cluster;
    }

    public void AddWorker() => _workers.Add(CliProcess.Start(
        "worker", "--coordinator", GrpcAddress, "--name", $"worker-{_workers.Count}", "--threads", "1", "--memory", "1GB"));

    /// <summary>The worker with this part of the first plan, in stage order, then rank order.</summary>
    public CliProcess Serving(int part) => _workers[part];

    public Task KillServingAsync(int part) => Signals.SendAsync("KILL", Serving(part).Id);

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        foreach (var worker in _workers) await worker.DisposeAsync();
        await Coordinator.DisposeAsync();
    }
}

using Grpc.Core;
using Grpc.Net.Client;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Hosting;
using LlamaCluster.Worker.KvDisk;
using LlamaCluster.Worker.Models;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>
/// A worker on a free port of loopback. Unless a test runs it, it serves without registering anywhere, and so has nobody to compare files with.
/// </summary>
sealed class TestWorker : IAsyncDisposable
{
    static readonly Uri Nowhere = new("http://127.0.0.1:1");

    TestWorker(WorkerHost host, FakeModel model, LogLines log)
    {
        (Host, Model, Log) = (host, model, log);
        Channel = new PeerChannels().Open(host.Address);
        Calls = Channel.WithKeys(host);
    }

    public WorkerHost Host { get; }

    public FakeModel Model { get; }

    public LogLines Log { get; }

    /// <summary>Without any key, as a stranger would call.</summary>
    public GrpcChannel Channel { get; }

    /// <summary>With the key that each service takes.</summary>
    public CallInvoker Calls { get; }

    public Wire.Assignments.AssignmentsClient Assignments => new(Calls);

    public Wire.Steps.StepsClient Steps => new(Calls);

    public Wire.Activations.ActivationsClient Activations => new(Calls);

    public static async Task<TestWorker> StartAsync(
        Func<WorkerOptions, WorkerOptions>? change = null, bool realModel = false, TimeProvider? time = null)
    {
        var (model, log) = (new FakeModel(), new LogLines());
        var host = Create(model, change, log, realModel, time);
        await host.StartAsync();
        return new TestWorker(host, model, log);
    }

    public static WorkerHost Create(FakeModel model, Func<WorkerOptions, WorkerOptions>? change = null, LogLines? log = null, bool realModel = false,
        TimeProvider? time = null)
    {
        var options = new WorkerOptions { Coordinator = Nowhere, Threads = 1, MemoryBytes = 1L << 30, TrustDigest = true };
        return WorkerHost.Create(change?.Invoke(options) ?? options, services =>
        {
            if (realModel) services.AddSingleton<IModelLoader, LlamaLoader>();
            else services.AddSingleton<IModelLoader>(model);
            if (time is not null) services.AddSingleton(time);
            services.AddLogging(logging => logging.ClearProviders().AddProvider(log ?? new LogLines()));
        });
    }

    /// <summary>As a worker does that runs and keeps KV blocks on disk.</summary>
    public void OpenDisk() => Disk.Open();

    public BlockDisk Disk => Host.Services.GetRequiredService<BlockDisk>();

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        await Host.DisposeAsync();
    }
}

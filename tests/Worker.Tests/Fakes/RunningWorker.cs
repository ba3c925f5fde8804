using Grpc.Core;
using Grpc.Net.Client;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Testing;
using LlamaCluster.Worker.Hosting;
using LlamaCluster.Worker.Models;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Fakes;

/// <summary>A worker that runs as a process would, until it is stopped or gives up.</summary>
sealed class RunningWorker : IAsyncDisposable
{
    readonly WorkerHost _host;
    readonly CancellationTokenSource _stop = new();
    readonly Task<int> _running;
    readonly GrpcChannel _channel;

    RunningWorker(WorkerHost host, FakeModel model, LogLines log)
    {
        (_host, Model, Log) = (host, model, log);
        _channel = new PeerChannels().Open(host.Address);
        _running = host.RunAsync(_stop.Token);
    }

    public FakeModel Model { get; }

    public LogLines Log { get; }

    public Uri Address => _host.Address;

    public bool IsReady => _host.Services.GetRequiredService<Readiness>().IsReady;

    public bool HasExited => _running.IsCompleted;

    public static async Task<RunningWorker> StartAsync(
        FakeCoordinator coordinator, Func<WorkerOptions, WorkerOptions>? change = null, TimeProvider? time = null)
    {
        var (model, log) = (new FakeModel(), new LogLines());
        var options = new WorkerOptions { Coordinator = coordinator.Address, Threads = 1, MemoryBytes = 1L << 30, TrustDigest = coordinator.Served is null };
        var host = WorkerHost.Create(change?.Invoke(options) ?? options, services => services
            .AddSingleton<IModelLoader>(model)
            .AddSingleton(time ?? TimeProvider.System)
            .AddLogging(logging => logging.ClearProviders().AddProvider(log)));
        await host.StartAsync();
        return new RunningWorker(host, model, log);
    }

    public void Stop() => _stop.Cancel();

    public Task<int> ExitAsync() => Deadline.Within(_running, "the worker to exit", () => $"; its log: {Log}");

    /// <summary>Loads the whole model.</summary>
    public async Task AssignAsync(ModelFile file, ulong view)
    {
        using var call = new Wire.Assignments.AssignmentsClient(_channel.WithKeys(_host))
            .Assign(TestPipeline.Assignment(Plan(file, view), 0, file.Path), deadline: Deadline.Call);
        while (await call.ResponseStream.MoveNext(CancellationToken.None)) { }
    }

    /// <summary>The stream of steps of a view that it has its part of.</summary>
    public async Task<AsyncDuplexStreamingCall<Wire.StepRequest, Wire.StepReply>> OpenStepsAsync(ModelFile file, ulong view)
    {
        var call = new Wire.Steps.StepsClient(_channel.WithKeys(_host)).Run(deadline: Deadline.Call);
        await call.RequestStream.WriteAsync(TestPipeline.Open(Plan(file, view), 0));
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));
        Assert.NotNull(call.ResponseStream.Current.Opened);
        return call;
    }

    public async ValueTask DisposeAsync()
    {
        Stop();
        await ExitAsync();
        _channel.Dispose();
        await _host.DisposeAsync();
        _stop.Dispose();
    }

    ClusterPlan Plan(ModelFile file, ulong view) => TestPipeline.PlanOf([Address], file.Digest, file.Layers, view);
}

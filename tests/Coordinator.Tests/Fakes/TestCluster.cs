using System.Diagnostics.Metrics;
using Grpc.Net.Client;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Hosting;
using LlamaCluster.Coordinator.Membership;
using LlamaCluster.Coordinator.Supervision;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests.Fakes;

/// <summary>A whole coordinator on free ports, with the demo model's files and fake workers.</summary>
sealed class TestCluster : IAsyncDisposable
{
    readonly List<FakeWorker> _workers = [];

    TestCluster(CoordinatorHost host) => (Host, Channel) = (host, new PeerChannels().Open(host.GrpcAddress));

    public CoordinatorHost Host { get; }

    /// <summary>To the coordinator's gRPC address.</summary>
    public GrpcChannel Channel { get; }

    public IReadOnlyList<FakeWorker> Workers => _workers;

    public IGenerationEngine Engine => Host.Engine;

    /// <summary>Whose meters are this coordinator's.</summary>
    public IMeterFactory MeterFactory => Host.Services.GetRequiredService<IMeterFactory>();

    /// <summary>Workers are lost when their stream breaks; the heartbeat's timeout is not what these tests wait for.</summary>
    public static CoordinatorOptions Options { get; } = new()
    {
        ModelPath = SharedFiles.Demo("llamacluster-demo-5m-q8_0.gguf"),
        Listen = "http://127.0.0.1:0",
        GrpcListen = "http://127.0.0.1:0",
        Deadlines = new ClusterDeadlines
        {
            HeartbeatInterval = TimeSpan.FromMilliseconds(100),
            HeartbeatTimeout = WaitExtensions.Deadline,
            Suspicion = WaitExtensions.Deadline,   // tests share the machine
            WaitForWorkers = WaitExtensions.Deadline,
            Blame = TimeSpan.FromMilliseconds(500),
            FirstRetry = TimeSpan.FromMilliseconds(20),
            LongestRetry = TimeSpan.FromMilliseconds(200),
        },
    };

    /// <param name="change">What is to be put in the place of the coordinator's own services.</param>
    public static async Task<TestCluster> StartAsync(CoordinatorOptions? options = null, Action<IServiceCollection>? change = null)
    {
        options ??= Options;
        var host = CoordinatorHost.Create(options, TimeProvider.System, services =>
        {
            if (options.DataFolder is null) services.AddSingleton(new ClusterOwnership(new string('0', 32), 0));   // views count from 1
            change?.Invoke(services);
        });
        await host.StartAsync();
        return new TestCluster(host);
    }

    /// <summary>With all the workers it asks for, and ready.</summary>
    public static async Task<TestCluster> StartReadyAsync(int workers, CoordinatorOptions? options = null)
    {
        var cluster = await StartAsync((options ?? Options) with { Workers = workers });
        for (var i = 0; i < workers; i++) await cluster.JoinAsync();
        await cluster.ReadyAsync();
        return cluster;
    }

    /// <param name="prepare">What it is to do otherwise than a good worker.</param>
    public async Task<FakeWorker> JoinAsync(Action<FakeWorker>? prepare = null, string? name = null)
    {
        var worker = await FakeWorker.StartAsync(name ?? $"worker{_workers.Count}");
        prepare?.Invoke(worker);
        _workers.Add(worker);
        await worker.JoinAsync(Host.GrpcAddress);
        return worker;
    }

    public Task<ClusterStatus> ReadyAsync(ulong afterView = 0)
        => StatusAsync(status => status.IsReady && status.ViewVersion > afterView, "the cluster is ready");

    public Task<ClusterStatus> StatusAsync(Func<ClusterStatus, bool> condition, string what)
        => Host.Status.WaitAsync(condition, CancellationToken.None).Soon($"{what}; the status is {Host.Status.Value}");

    /// <summary>Completes when so many workers count.</summary>
    public Task MembersAsync(int count) => Host.Services.GetRequiredService<WorkerRegistry>()
        .WaitAsync(now => now.Usable.Count() == count, CancellationToken.None).Soon($"{count} workers are here");

    public static SequenceRequest Request(IReadOnlyList<int> prompt, int maxTokens = 10, params int[] stopIds)
        => new(prompt, new SamplingOptions(), maxTokens, stopIds.ToHashSet());

    /// <summary>All events of a sequence.</summary>
    public async Task<List<SequenceEvent>> GenerateAsync(SequenceRequest request, CancellationToken cancellation = default)
    {
        List<SequenceEvent> events = [];
        await foreach (var next in Engine.GenerateAsync(request, cancellation)) events.Add(next);
        return events;
    }

    /// <summary>The tokens of a sequence that is expected to finish.</summary>
    public async Task<int[]> TokensAsync(SequenceRequest request)
    {
        var events = await GenerateAsync(request).Soon("the sequence ends");
        Assert.IsType<SequenceEvent.Finished>(events[^1]);
        return [.. events.OfType<SequenceEvent.Token>().Select(token => token.Sampled.Id)];
    }

    public async ValueTask DisposeAsync()
    {
        Channel.Dispose();
        await Host.DisposeAsync().AsTask().Soon("the coordinator stops");
        foreach (var worker in _workers) await worker.DisposeAsync();
    }
}

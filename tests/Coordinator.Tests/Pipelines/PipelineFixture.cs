using System.Diagnostics.Metrics;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Coordinator.Tests.Scheduling;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Shard = LlamaCluster.Planning.Plans.Shard;

namespace LlamaCluster.Coordinator.Tests.Pipelines;

/// <summary>A pipeline over fake workers that are loaded, on a clock that the test moves.</summary>
sealed class PipelineFixture : IAsyncDisposable
{
    public const ulong View = 5;

    const int KvBlocks = 100;
    const int Vocabulary = 300;

    readonly List<TensorSlice> _slices = [];
    readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    public ManualTimeProvider Time { get; } = new();

    /// <summary>What the pipeline is given for a clock, if not <see cref="Time"/> itself.</summary>
    public TimeProvider? Clock { get; set; }

    public ClusterDeadlines Deadlines { get; } = new();

    public List<FakeWorker> Workers { get; } = [];

    public StepScheduler Scheduler { get; private set; } = null!;

    /// <summary>Not opened yet.</summary>
    public static Task<PipelineFixture> WithWorkersAsync(int stages) => WithRanksAsync([.. Enumerable.Repeat(1, stages)]);

    /// <param name="ranks">Of each stage.</param>
    public static async Task<PipelineFixture> WithRanksAsync(params int[] ranks)
    {
        var fixture = new PipelineFixture();
        foreach (var (stage, count) in ranks.Index())
            for (var rank = 0; rank < count; rank++) await fixture.AddWorkerAsync(stage, ranks.Length, new TensorSlice(rank, count));
        fixture.Scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = ranks.Length }, new KvBlockPool(KvBlocks));
        return fixture;
    }

    public Task<PipelineOpening> OpenAsync(CancellationToken cancellation = default)
    {
        var assignments = Workers.Zip(_slices, (worker, slice) => new ShardAssignment(
            worker.Id, worker.Address, worker.Stage!.Number, new Shard(new LayerRange(worker.Stage.Number, 1), slice))).ToList();
        var plan = ClusterPlan.Create(View, "model", new string('0', 64), assignments[^1].Stage + 1, assignments);
        StageWorker[] workers = [.. assignments.Zip(Workers, (assignment, worker) => new StageWorker(assignment, worker.Name, PeerKey.Create()))];
        var options = new PipelineOptions("replica-0", plan, workers, KvBlocks, Vocabulary, Deadlines);
        var metrics = new CoordinatorMetrics(_services.GetRequiredService<IMeterFactory>());
        return GrpcPipeline.OpenAsync(options, new PeerChannels(), metrics, new Pulse(Clock ?? Time), Clock ?? Time, NullLogger.Instance, cancellation);
    }

    public async Task<IPipeline> OpenedAsync()
        => Assert.IsType<PipelineOpening.Opened>(await OpenAsync().Soon()).Pipeline;

    public async Task<PipelineFailure> FailedAsync()
        => Assert.IsType<PipelineOpening.Failed>(await OpenAsync().Soon()).Failure;

    public SequenceRun Add(ulong id, int[] prompt, int maxTokens = 5, SamplingOptions? sampling = null)
    {
        var sequence = TestSequence.Of(id, prompt, maxTokens, sampling);
        Assert.Equal(AddOutcome.Queued, Scheduler.Add(sequence));
        return sequence;
    }

    async Task AddWorkerAsync(int stage, int stages, TensorSlice slice)
    {
        var worker = await FakeWorker.StartAsync($"worker{Workers.Count}");
        worker.Id = new WorkerId($"w{Workers.Count}");
        worker.Stage = new FakeStage(View, stage, stages, KvBlocks, slice.Rank);
        Workers.Add(worker);
        _slices.Add(slice);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var worker in Workers) await worker.DisposeAsync();
        await _services.DisposeAsync();
    }
}

using System.Diagnostics.Metrics;
using LlamaCluster.Cluster.Plans;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Pipelines;
using LlamaCluster.Coordinator.Scheduling;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Coordinator.Tests.Scheduling;
using LlamaCluster.Model.Inference;
using LlamaCluster.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Shard = LlamaCluster.Cluster.Plans.Shard;

namespace LlamaCluster.Coordinator.Tests.Pipelines;

/// <summary>A pipeline over fake workers that are loaded, on a clock that the test moves.</summary>
sealed class PipelineFixture : IAsyncDisposable
{
    public const ulong View = 5;

    const int KvBlocks = 100;
    const int Vocabulary = 300;

    readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();

    public ManualTimeProvider Time { get; } = new();

    public ClusterDeadlines Deadlines { get; } = new();

    public List<FakeWorker> Workers { get; } = [];

    public StepScheduler Scheduler { get; private set; } = null!;

    /// <summary>Not opened yet.</summary>
    public static async Task<PipelineFixture> WithWorkersAsync(int stages)
    {
        var fixture = new PipelineFixture();
        for (var stage = 0; stage < stages; stage++)
        {
            var worker = await FakeWorker.StartAsync($"worker{stage}");
            worker.Id = new WorkerId($"w{stage}");
            worker.Stage = new FakeStage(View, stage, stages, KvBlocks);
            fixture.Workers.Add(worker);
        }
        fixture.Scheduler = new StepScheduler(new SchedulerLimits { StepsInFlight = stages }, new KvBlockPool(KvBlocks));
        return fixture;
    }

    public Task<PipelineOpening> OpenAsync(CancellationToken cancellation = default)
    {
        var assignments = Workers.Select((worker, stage) => new ShardAssignment(worker.Id, worker.Address, stage, new Shard(new LayerRange(stage, 1), TensorSlice.Whole))).ToList();
        var plan = ClusterPlan.Create(View, "model", new string('0', 64), Workers.Count, assignments);
        StageWorker[] workers = [.. assignments.Zip(Workers, (assignment, worker) => new StageWorker(assignment, worker.Name))];
        var options = new PipelineOptions(plan, workers, KvBlocks, Vocabulary, Deadlines);
        var metrics = new CoordinatorMetrics(_services.GetRequiredService<IMeterFactory>());
        return GrpcPipeline.OpenAsync(options, new PeerChannels(), metrics, Time, NullLogger.Instance, cancellation);
    }

    public async Task<GrpcPipeline> OpenedAsync()
        => Assert.IsType<PipelineOpening.Opened>(await OpenAsync().Soon()).Pipeline;

    public async Task<PipelineFailure> FailedAsync()
        => Assert.IsType<PipelineOpening.Failed>(await OpenAsync().Soon()).Failure;

    public Sequence Add(ulong id, int[] prompt, int maxTokens = 5, SamplingOptions? sampling = null)
    {
        var sequence = TestSequence.Of(id, prompt, maxTokens, sampling);
        Assert.Equal(AddOutcome.Queued, Scheduler.Add(sequence));
        return sequence;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var worker in Workers) await worker.DisposeAsync();
        await _services.DisposeAsync();
    }
}

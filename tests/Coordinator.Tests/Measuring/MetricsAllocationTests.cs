using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests.Measuring;

public sealed class MetricsAllocationTests
{
    /// <summary>What is counted for a step and its tokens, while the exporter listens.</summary>
    [Fact]
    public async Task Nothing_is_allocated_for_a_step_or_a_token()
    {
        await using var cluster = await TestCluster.StartAsync();
        using var http = new HttpClient { BaseAddress = cluster.Host.ApiAddress };
        await Exposition.OfAsync(http);
        var metrics = cluster.Host.Services.GetRequiredService<CoordinatorMetrics>();
        var timings = new StepTimings
        {
            Rows = 8,
            ComputeMicroseconds = 900,
            WaitMicroseconds = 300,
            SyncMicroseconds = 200,
            ActivationBytes = 4096,
            SyncBytes = 4096,
        };
        var request = new SequenceRequest([1, 2, 3], new SamplingOptions(), int.MaxValue, new HashSet<int>());
        var sequence = new Sequence(1, request, TimeProvider.System);
        sequence.Tokens.Append(7);

        void Step()
        {
            metrics.StepReturned("replica-0", 8);
            metrics.StepTook("replica-0", TimeSpan.FromMilliseconds(2));
            metrics.Stages.Ran("replica-0", 1, 0, timings, TimeSpan.FromMilliseconds(1));
            metrics.Sequences.Advanced("replica-0", sequence, 2, TimeProvider.System.GetTimestamp());
            metrics.Observe("replica-0", new SchedulerReadout { Running = 1, BlocksHeld = 2, BlocksFree = 3 });
        }

        for (var i = 0; i < 1000; i++) Step();   // series and thread-local buffers are made, code is compiled
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++) Step();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.True((await Exposition.OfAsync(http)).Sum("vllm:inter_token_latency_seconds_count") >= 4000);
    }
}

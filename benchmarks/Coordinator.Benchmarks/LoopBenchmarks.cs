using System.Diagnostics.Metrics;
using BenchmarkDotNet.Attributes;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Measuring;
using LlamaCluster.Coordinator.Replicas;
using LlamaCluster.Planning.Plans;
using LlamaCluster.Primitives;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Coordinator.Benchmarks;

/// <summary>What the coordinator itself takes for a step: update, schedule, messages to the workers and results from them, events to the streams.</summary>
[MemoryDiagnoser]
public class LoopBenchmarks
{
    const int Sequences = 256;
    const int Tokens = 160;

    static readonly IMeterFactory Meters = new ServiceCollection().AddMetrics().BuildServiceProvider().GetRequiredService<IMeterFactory>();

    /// <summary>256 sequences generate 160 tokens each, all of them in each step; beginning and end are in it.</summary>
    [Benchmark(OperationsPerInvoke = Tokens)]
    public async Task Decode256()
    {
        using var metrics = new CoordinatorMetrics(Meters);
        using var stop = new CancellationTokenSource();
        var replica = new Replica(
            "replica-0", new EngineOptions { MaxRunning = Sequences }, new ClusterDeadlines(), new ModelIdentity("model", "digest"),
            metrics, TimeProvider.System, NullLogger<Replica>.Instance);
        replica.Attach(new InstantPipeline(kvBlocks: 4096));
        for (var i = 0; i < Sequences; i++)
            replica.Submit([new SequenceRequest([i, 7], new SamplingOptions(), Tokens, new HashSet<int>()) { Client = $"{i % 8}" }]);
        var drained = replica.DrainAsync("done");
        var running = replica.RunAsync(stop.Token);
        await drained;
        await stop.CancelAsync();
        await running;
    }
}

using BenchmarkDotNet.Attributes;

namespace LlamaCluster.Kernels.Benchmarks;

/// <summary>What a barrier costs: jobs that do nothing, one after the other.</summary>
[MemoryDiagnoser]
public class ThreadBenchmarks
{
    const int Jobs = 1000;

    ComputeThreads _threads = null!;

    [Params(2, 1, 4)]
    public int Threads { get; set; }

    [GlobalSetup]
    public void Setup() => _threads = new ComputeThreads(Threads);

    [Benchmark(OperationsPerInvoke = Jobs)]
    public void Run()
    {
        var job = new EmptyJob();
        for (var i = 0; i < Jobs; i++) _threads.Run(ref job);
    }

    [GlobalCleanup]
    public void Cleanup() => _threads.Dispose();

    struct EmptyJob : IComputeJob
    {
        public readonly void Run(int thread, int threads)
        {
        }
    }
}

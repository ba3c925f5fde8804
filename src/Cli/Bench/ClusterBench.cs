using System.Diagnostics;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;

namespace LlamaCluster.Cli.Bench;

/// <summary>
/// Measures a whole cluster: worker processes, the coordinator in this process as in `up`, and clients that stream completions over HTTP. Some rounds
/// warm up, and one round counts. Each round has other prompts.
/// </summary>
sealed class ClusterBench(ClusterBenchOptions options, TextWriter error)
{
    /// <summary>For about so long the runtime compiles the code that it finds in use, which would disturb a measurement.</summary>
    static readonly TimeSpan WarmUpTime = TimeSpan.FromSeconds(10);

    /// <exception cref="CommandFailedException">The cluster did not come up, or did not answer every request in full.</exception>
    /// <exception cref="ModelFormatException">The model cannot be read.</exception>
    public async Task<BenchReport> RunAsync(CancellationToken cancellation)
    {
        using var weights = ModelFiles.Open(options.Model);
        options.Load.CheckContext(weights);
        await using var cluster = await BenchCluster.StartAsync(options, error, cancellation);
        var facts = StageFacts.Of(cluster.Shards, weights, options.Load.Concurrency);
        var reads = new PlainReads(options.Load.Pin, [.. facts.Select(ThreadsOf), AllThreads, options.Load.Threads, HostThreads]);
        return await cluster.WithWorkersAsync(working => MeasureAsync(cluster, weights, facts, reads, working), cancellation);
    }

    static int HostThreads => Environment.ProcessorCount;

    int AllThreads => options.Workers * options.Load.Threads;

    int ThreadsOf(StageFacts stage) => stage.Ranks * options.Load.Threads;

    async Task<BenchReport> MeasureAsync(
        BenchCluster cluster, IModelWeights weights, IReadOnlyList<StageFacts> facts, PlainReads reads, CancellationToken cancellation)
    {
        using var client = new HttpClient(HttpHandlers.Direct()) { BaseAddress = cluster.ApiAddress, Timeout = Timeout.InfiniteTimeSpan };
        using var meter = new StageMeter(cluster.Meters);
        using var process = Process.GetCurrentProcess();
        Task<ClusterRound> Round(int number)
        {
            var prompts = BenchPrompts.Make(options.Load, weights.Config.VocabularySize, number);
            return new ApiStreams(client, cluster.ModelName, options.Load.GenerateTokens, meter).RunAsync(prompts, cancellation);
        }

        var rounds = await WarmUpAsync(Round);
        // Taken before the plain reads, because their buffers are not memory that a coordinator needs.
        var peak = process.PeakWorkingSet64;
        reads.Measure();
        var counted = await Round(rounds + 1);
        process.Refresh();
        peak = Math.Max(peak, process.WorkingSet64);
        reads.Measure();

        var stages = facts.Zip(counted.Stages, (stage, load) => new StageFigures(stage, load, ThreadsOf(stage), reads.By(ThreadsOf(stage))));
        var figures = new ClusterFigures(
            counted.FirstToken, counted.BetweenTokens, counted.StepsPerSecond, [.. stages],
            PredictionCheck.Of(cluster.Plan, options.Load, counted.BetweenTokens, reads.By(options.Load.Threads), reads.By(HostThreads)),
            cluster.PeakResidentBytes(), peak);
        return BenchReport.Of(
            options.Load, counted, BenchWeightBytes.PerStep(weights, BenchWeightBytes.RowsOfStep(options.Load.Concurrency, facts.Count)),
            reads.By(AllThreads), figures);
    }

    /// <returns>The number of rounds.</returns>
    static async Task<int> WarmUpAsync(Func<int, Task> round)
    {
        var begun = Stopwatch.GetTimestamp();
        for (var number = 1; ; number++)
        {
            await round(number);
            if (Stopwatch.GetElapsedTime(begun) > WarmUpTime) return number;
        }
    }
}

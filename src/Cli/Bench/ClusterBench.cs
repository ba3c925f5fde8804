using System.Diagnostics;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;

namespace LlamaCluster.Cli.Bench;

/// <summary>
/// Measures a whole cluster: worker processes, the coordinator in this one as `up` has it, and clients that stream completions over HTTP. Rounds
/// to warm up, and one that counts; each has other prompts.
/// </summary>
sealed class ClusterBench(ClusterBenchOptions options, TextWriter error)
{
    /// <summary>The runtime goes on compiling what it finds in use, beside the work that is to be measured, for about so long.</summary>
    static readonly TimeSpan WarmUpTime = TimeSpan.FromSeconds(10);

    /// <exception cref="CommandFailedException">The cluster did not come up, or did not answer every request in full.</exception>
    /// <exception cref="ModelFormatException">The model cannot be read.</exception>
    public async Task<BenchReport> RunAsync(CancellationToken cancellation)
    {
        using var weights = ModelFiles.Open(options.Model);
        options.Load.CheckContext(weights);
        await using var cluster = await BenchCluster.StartAsync(options, error, cancellation);
        var facts = StageFacts.Of(cluster.Shards, weights);
        var reads = new PlainReads(options.Load.Pin, [.. facts.Select(ThreadsOf), AllThreads, options.Load.Threads, HostThreads]);
        return await cluster.WithWorkersAsync(working => MeasureAsync(cluster, weights, facts, reads, working), cancellation);
    }

    static int HostThreads => Environment.ProcessorCount;

    int AllThreads => options.Workers * options.Load.Threads;

    int ThreadsOf(StageFacts stage) => stage.Ranks * options.Load.Threads;

    async Task<BenchReport> MeasureAsync(BenchCluster cluster, IModelWeights weights, IReadOnlyList<StageFacts> facts, PlainReads reads, CancellationToken cancellation)
    {
        using var client = new HttpClient { BaseAddress = cluster.ApiAddress, Timeout = Timeout.InfiniteTimeSpan };
        using var meter = new StageMeter(cluster.Meters);
        using var process = Process.GetCurrentProcess();
        Task<ClusterRound> Round(int number) =>
            new ApiStreams(client, cluster.ModelName, options.Load.GenerateTokens, meter).RunAsync(BenchPrompts.Make(options.Load, weights.Config.VocabularySize, number), cancellation);

        var rounds = await WarmUpAsync(Round);
        // What plain reads need of memory is no part of what a coordinator needs.
        var peak = process.PeakWorkingSet64;
        reads.Measure();
        var counted = await Round(rounds + 1);
        process.Refresh();
        peak = Math.Max(peak, process.WorkingSet64);
        reads.Measure();

        var stages = facts.Zip(counted.Stages, (stage, load) => new StageFigures(stage, load, ThreadsOf(stage), reads.By(ThreadsOf(stage))));
        var figures = new ClusterFigures(
            counted.FirstToken, counted.BetweenTokens, counted.StepsPerSecond, [.. stages],
            PredictionCheck.Of(cluster.Plan, options.Load, counted.BetweenTokens, reads.By(options.Load.Threads), reads.By(HostThreads)), cluster.PeakResidentBytes(), peak);
        return BenchReport.Of(options.Load, counted, BenchWeightBytes.PerStep(weights), reads.By(AllThreads), figures);
    }

    /// <returns>How many rounds it took.</returns>
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

using System.Diagnostics;
using LlamaCluster.Model.Formats;

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
        var round = await cluster.WithWorkersAsync(working => MeasureAsync(cluster, weights.Config.VocabularySize, working), cancellation);
        // Taken before there is a buffer to read, which is no part of what a coordinator needs.
        using var process = Process.GetCurrentProcess();
        var peak = process.PeakWorkingSet64;
        var reads = new PlainReads(options.Load.Pin);
        var stages = StageFacts.Of(cluster.Shards, weights).Zip(round.Stages, (facts, load) => FiguresOf(facts, load, reads));
        var figures = new ClusterFigures(round.FirstToken, round.BetweenTokens, round.StepsPerSecond, [.. stages], cluster.PeakResidentBytes(), peak);
        return BenchReport.Of(options.Load, round, BenchWeightBytes.PerStep(weights), reads.By(options.Workers * options.Load.Threads), figures);
    }

    StageFigures FiguresOf(StageFacts facts, StageLoad load, PlainReads reads)
    {
        var threads = facts.Ranks * options.Load.Threads;
        return new StageFigures(facts, load, threads, reads.By(threads));
    }

    async Task<ClusterRound> MeasureAsync(BenchCluster cluster, int vocabularySize, CancellationToken cancellation)
    {
        using var client = new HttpClient { BaseAddress = cluster.ApiAddress, Timeout = Timeout.InfiniteTimeSpan };
        using var meter = new StageMeter(cluster.Meters);
        var begun = Stopwatch.GetTimestamp();
        for (var seed = 1; ; seed++)
        {
            var warm = seed > 1 && Stopwatch.GetElapsedTime(begun) > WarmUpTime;
            var streams = new ApiStreams(client, cluster.ModelName, options.Load.GenerateTokens, meter);
            var round = await streams.RunAsync(BenchPrompts.Make(options.Load, vocabularySize, seed), cancellation);
            if (warm) return round;
        }
    }
}

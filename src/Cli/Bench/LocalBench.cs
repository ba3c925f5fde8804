using System.Diagnostics;
using LlamaCluster.Cli.Models;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Kernels.Measuring;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Inference;

namespace LlamaCluster.Cli.Bench;

/// <summary>Measures a model in this process: one round to warm up, so that all code is compiled, and one that counts.</summary>
static class LocalBench
{
    static readonly TimeSpan BandwidthTime = TimeSpan.FromSeconds(0.5);

    /// <exception cref="CommandFailedException">The model has no room for the streams, or this machine none for the model.</exception>
    /// <exception cref="ModelFormatException">The weights cannot be read.</exception>
    public static BenchReport Run(IModelWeights weights, BenchOptions options, TextWriter error, CancellationToken cancellation)
    {
        options.CheckContext(weights);
        CheckMemory(weights, options);
        using var threads = new ComputeThreads(options.Threads, options.Pin);
        var round = Measure(weights, options, threads, error, cancellation);
        // Taken before the buffer of the last measurement, which is no part of what a model needs.
        using var process = Process.GetCurrentProcess();
        var peak = process.PeakWorkingSet64;
        var report = BenchReport.Of(options, round, BenchWeightBytes.PerStep(weights), MemoryBandwidth.Measure(threads, BandwidthTime), peak);
        return report with { LoadBytesPerSecond = BenchWeightBytes.Loaded(weights) / round.Load.TotalSeconds };
    }

    static BenchRound Measure(IModelWeights weights, BenchOptions options, ComputeThreads threads, TextWriter error, CancellationToken cancellation)
    {
        var stage = new StageOptions { KvBlockCount = BenchStreams.Blocks(options), MaxStepRows = BenchStreams.StepRows, MaxSequenceLength = options.Positions };
        var start = Stopwatch.GetTimestamp();
        using var pipeline = LoadingBar.Show(
            error, $"loading {weights.Name}", BenchWeightBytes.Loaded(weights),
            loaded => LocalPipeline.Load(weights, stages: 1, stage, threads, loaded, cancellation));
        var load = Stopwatch.GetElapsedTime(start);
        var streams = new BenchStreams(pipeline, options, weights.Config.VocabularySize);
        streams.Run(cancellation);
        return streams.Run(cancellation) with { Load = load };
    }

    static void CheckMemory(IModelWeights weights, BenchOptions options)
    {
        var shape = StageShape.Whole(weights.Config.LayerCount);
        var needed = checked(BenchWeightBytes.Loaded(weights)
            + BenchStreams.Blocks(options) * StageMemory.KvBytesPerBlock(weights.Config, shape, KvType.F16)
            + StageMemory.BufferBytes(weights.Config, shape, BenchStreams.StepRows));
        var available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (needed > available)
            throw new CommandFailedException($"{weights.Name} needs {needed} bytes of memory and this machine has {available}: take a smaller model or shape, or fewer --layers");
    }
}

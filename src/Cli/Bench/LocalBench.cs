using System.Diagnostics;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cli.Models;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Sequences;

namespace LlamaCluster.Cli.Bench;

/// <summary>
/// Measures a model in this process. The first round warms up, so that all code is compiled. The second round counts. In the third round steps
/// take turns with plain reads of memory.
/// </summary>
static class LocalBench
{
    /// <exception cref="CommandFailedException">The streams are longer than the model's context, or this machine has too little memory.</exception>
    /// <exception cref="ModelFormatException">The weights cannot be read.</exception>
    public static BenchReport Run(IModelWeights weights, BenchOptions options, TextWriter error, CancellationToken cancellation)
    {
        options.CheckContext(weights);
        CheckMemory(weights, options);
        using var threads = new ComputeThreads(options.Threads, options.Pin);
        return Measure(weights, options, threads, error, cancellation);
    }

    static BenchReport Measure(IModelWeights weights, BenchOptions options, ComputeThreads threads, TextWriter error, CancellationToken cancellation)
    {
        var stage = new StageOptions { KvBlockCount = BenchStreams.Blocks(options), MaxStepRows = BenchStreams.StepRows, MaxSequenceLength = options.Positions };
        var start = Stopwatch.GetTimestamp();
        using var pipeline = LoadingBar.Show(
            error, $"loading {weights.Name}", BenchWeightBytes.Loaded(weights),
            loaded => LocalPipeline.Load(weights, stages: 1, stage, threads, loaded, cancellation));
        var load = Stopwatch.GetElapsedTime(start);
        var streams = new BenchStreams(pipeline, options, weights.Config.VocabularySize);
        streams.Run(afterStep: null, cancellation);
        var round = streams.Run(afterStep: null, cancellation);

        // Taken before the buffer for plain reads exists, because it is not memory that a model needs.
        using var process = Process.GetCurrentProcess();
        var peak = process.PeakWorkingSet64;
        using var use = new BandwidthUse(threads);
        streams.Run(use.AfterStep, cancellation);
        return BenchReport.Of(options, round, use, BenchWeightBytes.PerStep(weights), peak) with { LoadBytesPerSecond = BenchWeightBytes.Loaded(weights) / load.TotalSeconds };
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

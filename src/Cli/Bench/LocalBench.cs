using System.Diagnostics;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cli.Models;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Local;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Worker;

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
        var stage = new StageOptions
        {
            KvBlockCount = BenchStreams.Blocks(options),
            KvType = options.KvType,
            MaxStepRows = BenchStreams.StepRows,
            MaxSequenceLength = options.Positions,
        };
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
        return BenchReport.Of(options, round, use, BenchWeightBytes.PerStep(weights, options.Concurrency), peak) with
        {
            LoadBytesPerSecond = BenchWeightBytes.Loaded(weights) / load.TotalSeconds,
        };
    }

    static void CheckMemory(IModelWeights weights, BenchOptions options)
    {
        var need = MemoryNeed.Of(weights, BenchStreams.Blocks(options), options.KvType, BenchStreams.StepRows);
        if (need.Problem(WorkerMemory.Free(), "give a smaller shape, fewer --layers, or fewer tokens or streams") is { } problem)
            throw new CommandFailedException(problem);
    }
}

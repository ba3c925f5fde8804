using System.CommandLine;
using LlamaCluster.Cli.Bench;
using LlamaCluster.Coordinator;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;

namespace LlamaCluster.Cli.Commands;

/// <summary>
/// `bench`: how fast a model, or random weights of a shape, run in this process or in a cluster of processes, beside how fast memory can be
/// read.
/// </summary>
static class BenchCommand
{
    const int MaxThreads = 1024;
    const int MaxWorkers = 1024;
    const int MaxTokens = 1 << 20;

    static readonly Option<string?> Model = ModelOption.Create();
    static readonly Option<string?> Shape = new("--shape") { HelpName = "NAME|hidden=..,..", Description = $"random weights in place of a model: {string.Join(", ", ModelShape.PresetNames)} or hidden=2048,layers=16,ffn=8192,heads=32,kv-heads=8,vocab=32000" };
    static readonly Option<int?> Layers = new("--layers") { HelpName = "N", Description = "with --shape: only N of its layers" };
    static readonly Option<bool> ShareLayers = new("--share-layer-weights") { Description = "with --shape: all layers of a shard use one copy of a layer's weights, so that a large shape runs in little memory" };
    static readonly Option<string?> Quant = new("--quant") { HelpName = "TYPE", Description = "the type of the matrices; without it a model's own, and q4_0 for a shape" };
    static readonly Option<int> Workers = new("--workers") { HelpName = "N", Description = "worker processes; 0: everything in this process", DefaultValueFactory = _ => 0 };
    static readonly Option<int> TensorParallel = new("--tensor-parallel") { HelpName = "T", Description = "workers that share each stage", DefaultValueFactory = _ => 1 };
    static readonly Option<int?> Threads = new("--threads-per-worker") { HelpName = "K", Description = "compute threads, of each worker if there are any; without it the processors are shared out" };
    static readonly Option<bool> Pin = new("--pin") { Description = "hold each worker, or without workers each thread but the first, on processors of its own (Linux)" };
    static readonly Option<int> Prompt = new("--prompt-tokens") { HelpName = "N", Description = "the length of each prompt", DefaultValueFactory = _ => 128 };
    static readonly Option<int> Generate = new("--generate-tokens") { HelpName = "N", Description = "the tokens that each stream generates, 2 at least: the first is the prompt's", DefaultValueFactory = _ => 32 };
    static readonly Option<int> Concurrency = new("--concurrency") { HelpName = "N", Description = "streams at a time", DefaultValueFactory = _ => 1 };
    static readonly Option<bool> Json = new("--json") { Description = "print one JSON object" };

    public static Command Create()
    {
        var command = new Command("bench", "Measure prefill, decode, latencies and memory, in this process or in a cluster of N worker processes.")
        {
            Model, Shape, Layers, ShareLayers, Quant, Workers, TensorParallel, Threads, Pin, Prompt, Generate, Concurrency, Json,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            var report = await RunAsync(parsed, cancellation);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(Json)) output.WriteLine(report.Json());
            else foreach (var line in report.Lines()) output.WriteLine(line);
            return ExitCode.Done;
        });
        return command;
    }

    static Task<BenchReport> RunAsync(ParseResult parsed, CancellationToken cancellation)
    {
        var (shape, quant, error) = (parsed.GetValue(Shape), parsed.GetValue(Quant), parsed.InvocationConfiguration.Error);
        var workers = Range.Check("--workers", parsed.GetValue(Workers), 0, MaxWorkers);
        CheckTogether(parsed, workers);
        var load = LoadOf(parsed, workers);
        var path = shape is null
            ? BenchModel.OfPath(ModelOption.PathOf(parsed, Model), quant)
            : BenchModel.OfShape(shape, parsed.GetValue(Layers), quant, parsed.GetValue(ShareLayers)).ToString();
        if (workers > 0) return new ClusterBench(new ClusterBenchOptions(path, workers, parsed.GetValue(TensorParallel), load), error).RunAsync(cancellation);
        using var weights = ModelFiles.Open(path);
        return Task.FromResult(LocalBench.Run(weights, load, error, cancellation));
    }

    static void CheckTogether(ParseResult parsed, int workers)
    {
        var (ofModel, ofShape) = (parsed.GetValue(Model) is not null, parsed.GetValue(Shape) is not null);
        if (ofModel && ofShape) throw new InvalidOptionsException("--model and --shape are both given: give one");
        if (parsed.GetValue(Layers) is not null && !ofShape) throw new InvalidOptionsException("--layers needs --shape");
        if (parsed.GetValue(ShareLayers) && !ofShape) throw new InvalidOptionsException("--share-layer-weights needs --shape");
        if (parsed.GetValue(TensorParallel) != 1 && workers == 0) throw new InvalidOptionsException("--tensor-parallel needs --workers");
    }

    static BenchOptions LoadOf(ParseResult parsed, int workers) => new(
        parsed.GetValue(Threads) is { } threads ? Range.Check("--threads-per-worker", threads, 1, MaxThreads) : Math.Max(1, Environment.ProcessorCount / Math.Max(1, workers)),
        parsed.GetValue(Pin),
        Range.Check("--prompt-tokens", parsed.GetValue(Prompt), 1, MaxTokens),
        Range.Check("--generate-tokens", parsed.GetValue(Generate), 2, MaxTokens),
        Range.Check("--concurrency", parsed.GetValue(Concurrency), 1, workers == 0 ? BenchStreams.StepRows : BenchStreams.StepRows - 1));
}

using System.CommandLine;
using LlamaCluster.Cli.Bench;
using LlamaCluster.Coordinator;
using LlamaCluster.Model.Config;

namespace LlamaCluster.Cli.Commands;

/// <summary>`bench`: how fast a model, or random weights of a shape, run in this process, beside how fast its memory can be read.</summary>
static class BenchCommand
{
    const int MaxThreads = 1024;
    const int MaxTokens = 1 << 20;

    public static Command Create()
    {
        var model = ModelOption.Create();
        var shape = new Option<string?>("--shape") { HelpName = "NAME|hidden=..,..", Description = $"random weights in place of a model: {string.Join(", ", ModelShape.PresetNames)} or hidden=2048,layers=16,ffn=8192,heads=32,kv-heads=8,vocab=32000" };
        var layers = new Option<int?>("--layers") { HelpName = "N", Description = "with --shape: only N of its layers" };
        var quant = new Option<string?>("--quant") { HelpName = "TYPE", Description = "the type of the matrices; without it a model's own, and q4_0 for a shape" };
        var threads = new Option<int>("--threads-per-worker") { HelpName = "K", Description = "compute threads; without it one for each processor", DefaultValueFactory = _ => Environment.ProcessorCount };
        var pin = new Option<bool>("--pin") { Description = "hold each thread but the first on a processor of its own (Linux)" };
        var prompt = new Option<int>("--prompt-tokens") { HelpName = "N", Description = "the length of each prompt", DefaultValueFactory = _ => 128 };
        var generate = new Option<int>("--generate-tokens") { HelpName = "N", Description = "the tokens that each stream generates, 2 at least: the first is the prompt's", DefaultValueFactory = _ => 32 };
        var concurrency = new Option<int>("--concurrency") { HelpName = "N", Description = "streams at a time", DefaultValueFactory = _ => 1 };
        var json = new Option<bool>("--json") { Description = "print one JSON object" };
        var command = new Command("bench", "Measure prefill, decode and memory in this process.") { model, shape, layers, quant, threads, pin, prompt, generate, concurrency, json };
        command.SetAction((parsed, cancellation) =>
        {
            var (path, text, count, type) = (parsed.GetValue(model), parsed.GetValue(shape), parsed.GetValue(layers), parsed.GetValue(quant));
            if (path is not null && text is not null) throw new InvalidOptionsException("--model and --shape are both given: give one");
            if (count is not null && text is null) throw new InvalidOptionsException("--layers needs --shape");
            var options = new BenchOptions(
                Range.Check("--threads-per-worker", parsed.GetValue(threads), 1, MaxThreads),
                parsed.GetValue(pin),
                Range.Check("--prompt-tokens", parsed.GetValue(prompt), 1, MaxTokens),
                Range.Check("--generate-tokens", parsed.GetValue(generate), 2, MaxTokens),
                Range.Check("--concurrency", parsed.GetValue(concurrency), 1, BenchStreams.StepRows));
            using var weights = text is null ? BenchWeights.OfModel(ModelOption.PathOf(parsed, model), type) : BenchWeights.OfShape(text, count, type);
            var report = LocalBench.Run(weights, options, parsed.InvocationConfiguration.Error, cancellation);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json)) output.WriteLine(report.Json());
            else foreach (var line in report.Lines()) output.WriteLine(line);
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }
}

using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using LlamaCluster.Cli.Models;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;

namespace LlamaCluster.Cli.Commands;

/// <summary>`perplexity`: how well a model foretells a text, to compare tensor types by.</summary>
static class PerplexityCommand
{
    public static Command Create()
    {
        var (model, quantize) = (ModelOption.Create(), QuantizeOption.Create());
        var file = new Option<string>("--file") { HelpName = "TEXT", Description = "a text file", Required = true };
        var context = new Option<int>("--context") { HelpName = "N", Description = "tokens of a chunk, the second half of which is scored", DefaultValueFactory = _ => 512 };
        var json = new Option<bool>("--json") { Description = "print one JSON object" };
        var command = new Command("perplexity", "Score a text in chunks, the second half of each, as llama-perplexity does.") { model, quantize, file, context, json };
        command.SetAction((parsed, cancellation) =>
        {
            var length = Range.Check("--context", parsed.GetValue(context), 4, int.MaxValue);
            var text = File.ReadAllBytes(parsed.GetRequiredValue(file));
            var error = parsed.InvocationConfiguration.Error;
            using var local = Load(ModelOption.PathOf(parsed, model, quantize), length, error, cancellation);
            var score = Perplexity.Measure(local, text, length, error, cancellation);
            parsed.InvocationConfiguration.Output.WriteLine(parsed.GetValue(json) ? Json(score) : string.Create(
                CultureInfo.InvariantCulture, $"perplexity {score.Value:F4} +/- {score.StandardError:F4}, {score.ScoredTokens} tokens of {score.Chunks} chunks"));
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    static LocalModel Load(string path, int length, TextWriter error, CancellationToken cancellation) => LocalModel.Load(
        path,
        ModelTextReader.Open(path),
        config => length <= config.ContextLength ? length
            : throw new CommandFailedException($"--context is {length}; {path} is made for at most {config.ContextLength} tokens"),
        error,
        cancellation);

    static string Json(Perplexity score) => JsonSerializer.Serialize(new
    {
        perplexity = score.Value,
        standard_error = score.StandardError,
        chunks = score.Chunks,
        scored_tokens = score.ScoredTokens,
    });
}

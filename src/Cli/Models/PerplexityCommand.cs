using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Kernels.Attention;

namespace LlamaCluster.Cli.Models;

/// <summary>`perplexity`: measures how well a model predicts a text, to compare tensor types.</summary>
static class PerplexityCommand
{
    public static Command Create()
    {
        var (model, quantize, kvType) = (ModelOption.Create(), QuantizeOption.Create(), KvTypeOption.Create());
        var file = new Option<string>("--file") { HelpName = "TEXT", Description = "a text file", Required = true };
        var context = new Option<int>("--context")
        {
            HelpName = "N",
            Description = "tokens of a chunk, the second half of which is scored",
            DefaultValueFactory = _ => 512,
        };
        var json = new Option<bool>("--json") { Description = "print one JSON object" };
        var command = new Command("perplexity", "Score a text in chunks, the second half of each, as llama-perplexity does.")
        {
            model, HubOption.Create(), quantize, kvType, file, context, json,
        };
        command.SetAction((parsed, cancellation) =>
        {
            var length = NumberOption.Check("--context", parsed.GetValue(context), 4, int.MaxValue);
            var text = File.ReadAllBytes(parsed.GetRequiredValue(file));
            var error = parsed.InvocationConfiguration.Error;
            using var local = Load(ModelOption.PathOf(parsed, model, quantize), length, kvType.In(parsed), error, cancellation);
            var score = Perplexity.Measure(local, text, length, error, cancellation);
            parsed.InvocationConfiguration.Output.WriteLine(parsed.GetValue(json) ? Json(score) : Text(score));
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    static LocalModel Load(string path, int length, KvType kvType, TextWriter error, CancellationToken cancellation)
    {
        using var files = LocalFiles.Open(path);
        var most = files.Weights.Config.ContextLength;
        return length <= most
            ? LocalModel.Load(files, length, kvType, "give a smaller --context", error, cancellation)
            : throw new CommandFailedException($"--context is {length}; {path} is made for at most {most} tokens");
    }

    static string Text(Perplexity score) => string.Create(
        CultureInfo.InvariantCulture, $"perplexity {score.Value:F4} +/- {score.StandardError:F4}, {score.ScoredTokens} tokens of {score.Chunks} chunks");

    static string Json(Perplexity score) => JsonSerializer.Serialize(new
    {
        perplexity = score.Value,
        standard_error = score.StandardError,
        chunks = score.Chunks,
        scored_tokens = score.ScoredTokens,
    });
}

/// <summary>
/// The exponential of the mean negative log-probability that a model gives to the tokens of a text. Measured like llama.cpp's
/// llama-perplexity: the tokens of the text (with bos if the model asks for it) are cut into whole chunks. In each chunk, bos replaces the first
/// token. The tokens of the second half are scored, each given the earlier tokens of its chunk.
/// </summary>
sealed record Perplexity(double Value, double StandardError, int Chunks, long ScoredTokens)
{
    /// <exception cref="CommandFailedException">The text is too short for two chunks.</exception>
    public static Perplexity Measure(LocalModel model, byte[] text, int chunkLength, TextWriter error, CancellationToken cancellation)
    {
        List<int> tokens = [];
        model.Text.Tokenizer.Encode(text, tokens, addSpecial: true, parseSpecial: false);
        var chunks = tokens.Count / chunkLength;
        if (chunks < 2)
            throw new CommandFailedException(
                $"the text has {tokens.Count} tokens; two chunks of --context {chunkLength} need {2L * chunkLength}:"
                + " give a longer text or a smaller --context");
        var startsWithBos = model.Text.Tokenizer.BosId is { } bos && tokens[0] == bos;
        return LoadingBar.Show(error, "scoring", chunks, done =>
        {
            double sum = 0, sumOfSquares = 0;
            var count = 0L;
            for (var chunk = 0; chunk < chunks; chunk++)
            {
                var part = tokens.GetRange(chunk * chunkLength, chunkLength);
                if (startsWithBos) part[0] = tokens[0];
                // Element i is about token i + 1.
                foreach (var scored in model.Score(part, cancellation).Skip(chunkLength / 2))
                {
                    sum -= scored.Logprob;
                    sumOfSquares += (double)scored.Logprob * scored.Logprob;
                    count++;
                }
                done?.Report(chunk + 1);
            }
            return Of(sum / count, sumOfSquares / count, chunks, count);
        });
    }

    static Perplexity Of(double mean, double meanOfSquares, int chunks, long count)
    {
        var value = Math.Exp(mean);
        return new Perplexity(value, value * Math.Sqrt(Math.Max(meanOfSquares - mean * mean, 0) / (count - 1)), chunks, count);
    }
}

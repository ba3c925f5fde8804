using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Coordinator;
using LlamaCluster.Primitives;
using LlamaCluster.Text;

namespace LlamaCluster.Cli.Models;

/// <summary>`generate`: answers a prompt with a model in this process, without a network.</summary>
static class GenerateCommand
{
    public static Command Create()
    {
        var (model, quantize, kvType) = (ModelOption.Create(), QuantizeOption.Create(), KvTypeOption.Create());
        var prompt = new Option<string>("--prompt") { HelpName = "TEXT", Description = "a question, or with --raw the text to go on from", Required = true };
        var maxTokens = new Option<int>("--max-tokens") { HelpName = "N", Description = "the most tokens to generate", DefaultValueFactory = _ => 64 };
        var temperature = new Option<float>("--temperature")
        {
            HelpName = "T",
            Description = "0 takes the most probable token each time",
            DefaultValueFactory = _ => 0,
        };
        var seed = new Option<ulong?>("--seed")
        {
            HelpName = "N",
            Description = "with a temperature: the same seed, the same answer; without it a new one each time",
        };
        var logprobs = new Option<int?>("--logprobs")
        {
            HelpName = "K",
            Description = $"with --json: the K most probable tokens of each step, up to {SamplingRanges.MaxTopLogprobs}",
        };
        var raw = new Option<bool>("--raw")
        {
            Description = "no chat template: the text as it stands, special tokens in it recognised, bos added where the model asks for it",
        };
        var (grammar, schema) = (AnswerForm.Grammar(), AnswerForm.Schema());
        var json = new Option<bool>("--json") { Description = "print one JSON object with ids, text and log-probabilities" };
        var command = new Command("generate", "Answer a prompt in this process, without a network.")
        {
            model, HubOption.Create(), quantize, kvType, prompt, maxTokens, temperature, seed, logprobs, grammar, schema, raw, json,
        };
        command.SetAction((parsed, cancellation) =>
        {
            if (parsed.GetValue(logprobs) is not null && !parsed.GetValue(json)) throw new InvalidOptionsException("--logprobs needs --json");
            var limit = NumberOption.Check("--max-tokens", parsed.GetValue(maxTokens), 1, int.MaxValue);
            var sampling = Checked(new SamplingOptions
            {
                Temperature = parsed.GetValue(temperature),
                Seed = parsed.GetValue(seed) ?? (ulong)Random.Shared.NextInt64(),
                TopLogprobs = parsed.GetValue(json) ? NumberOption.Check("--logprobs", parsed.GetValue(logprobs) ?? 0, 0, SamplingRanges.MaxTopLogprobs) : null,
            });
            var form = AnswerForm.Of(parsed.GetValue(grammar), parsed.GetValue(schema));
            using var files = LocalFiles.Open(ModelOption.PathOf(parsed, model, quantize));
            var (output, error) = (parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);
            var ids = Encode(files, parsed.GetRequiredValue(prompt), parsed.GetValue(raw));
            var context = ContextFor(ids.Count, limit, files.Weights.Config.ContextLength);
            using var local = LocalModel.Load(files, context, kvType.In(parsed), "give a smaller --max-tokens", error, cancellation);
            var tokens = local.Generate(ids, sampling, limit, form?.For(files), cancellation);
            if (parsed.GetValue(json)) output.WriteLine(GenerationJson.Write(ids, [.. tokens], files.Text.Tokenizer));
            else Print(tokens, files.Text.Tokenizer, output);
            return Task.FromResult(ExitCode.Done);
        });
        return command;
    }

    static SamplingOptions Checked(SamplingOptions sampling) =>
        SamplingRanges.FirstProblem(sampling, int.MaxValue) is { } problem ? throw new InvalidOptionsException($"--{problem}") : sampling;

    static List<int> Encode(LocalFiles files, string prompt, bool raw)
    {
        // A chat template writes bos itself.
        var text = raw ? prompt : ChatPrompt.Render(files.Text, files.Path, prompt);
        var ids = files.Text.Tokenizer.Encode(text, addSpecial: raw, parseSpecial: true);
        return ids.Count > 0 ? ids : throw new CommandFailedException("--prompt is empty, and the model starts with no token of its own: give it some text");
    }

    static int ContextFor(int promptLength, int limit, int most) => promptLength < most ? (int)Math.Min((long)promptLength + limit, most)
        : throw new CommandFailedException($"--prompt has {promptLength} tokens; fewer than {most} fit the model's context: shorten it");

    static void Print(IEnumerable<SampledToken> tokens, ITokenizer tokenizer, TextWriter output)
    {
        var decoder = new TokenStreamDecoder(tokenizer);
        foreach (var token in tokens)
        {
            if (tokenizer.StopIds.Contains(token.Id)) break;   // it ends the text, also where it has one of its own
            output.Write(decoder.Append(token.Id));
            output.Flush();
        }
        output.WriteLine(decoder.Flush());
    }
}

/// <summary>The output of `generate --json`.</summary>
static class GenerationJson
{
    static readonly JsonWriterOptions Style = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>If an id ended the text, <c>tokens</c> contains it and <c>text</c> does not.</summary>
    public static string Write(IReadOnlyList<int> prompt, IReadOnlyList<SampledToken> tokens, ITokenizer tokenizer)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes, Style))
        {
            json.WriteStartObject();
            WriteIds(json, "prompt_tokens", prompt);
            WriteIds(json, "tokens", tokens.Select(token => token.Id));
            json.WriteString("text", TextOf(tokens, tokenizer));
            json.WriteString("finish_reason", tokens.Count > 0 && tokenizer.StopIds.Contains(tokens[^1].Id) ? "stop" : "length");
            json.WriteStartArray("logprobs");
            foreach (var token in tokens) WriteStep(json, token);
            json.WriteEndArray();
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(bytes.ToArray());
    }

    static string TextOf(IReadOnlyList<SampledToken> tokens, ITokenizer tokenizer)
    {
        var decoder = new TokenStreamDecoder(tokenizer);
        var text = tokens.TakeWhile(token => !tokenizer.StopIds.Contains(token.Id)).Select(token => decoder.Append(token.Id));
        return string.Concat(text) + decoder.Flush();
    }

    static void WriteStep(Utf8JsonWriter json, SampledToken token)
    {
        json.WriteStartObject();
        json.WriteNumber("id", token.Id);
        json.WriteNumber("logprob", token.Logprob);
        json.WriteStartArray("top");
        foreach (var (id, logprob) in token.Top)
        {
            json.WriteStartArray();
            json.WriteNumberValue(id);
            json.WriteNumberValue(logprob);
            json.WriteEndArray();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    static void WriteIds(Utf8JsonWriter json, string name, IEnumerable<int> ids)
    {
        json.WriteStartArray(name);
        foreach (var id in ids) json.WriteNumberValue(id);
        json.WriteEndArray();
    }
}

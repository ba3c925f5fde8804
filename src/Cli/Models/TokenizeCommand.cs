using System.CommandLine;
using System.Text;
using System.Text.Json;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Text;

namespace LlamaCluster.Cli.Models;

/// <summary>
/// `tokenize`: turns bytes into ids, or back. It recognises special tokens in the text. Decoding is the reverse of encoding with the same options:
/// it drops the bos and eos that encoding adds, and writes every other token, control tokens too.
/// </summary>
static class TokenizeCommand
{
    public static Command Create(ByteStreams streams)
    {
        var model = ModelOption.Create();
        var text = new Option<string?>("--text") { HelpName = "TEXT", Description = "what to tokenize; without it standard input, byte for byte" };
        var noSpecial = new Option<bool>("--no-special") { Description = "add no bos or eos" };
        var decode = new Option<bool>("--decode") { Description = "turn a JSON array of ids back into the exact bytes" };
        var command = new Command("tokenize", "Print the token ids of a text as a JSON array. Needs only a model's tokenizer.")
        {
            model, HubOption.Create(), text, noSpecial, decode,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            var tokenizer = ModelTextReader.Open(ModelOption.PathOf(parsed, model)).Tokenizer;
            var input = parsed.GetValue(text) is { } given ? Encoding.UTF8.GetBytes(given) : await ReadAsync(streams.Input, cancellation);
            var addSpecial = !parsed.GetValue(noSpecial);
            if (parsed.GetValue(decode))
                await WriteAsync(Decode(tokenizer, input, addSpecial), streams.Output, cancellation);
            else
                parsed.InvocationConfiguration.Output.WriteLine(JsonSerializer.Serialize(Encode(tokenizer, input, addSpecial)));
            return ExitCode.Done;
        });
        return command;
    }

    static List<int> Encode(ITokenizer tokenizer, ReadOnlySpan<byte> text, bool addSpecial)
    {
        List<int> ids = [];
        tokenizer.Encode(text, ids, addSpecial, parseSpecial: true);
        return ids;
    }

    static byte[] Decode(ITokenizer tokenizer, byte[] json, bool wasSpecialAdded)
    {
        var ids = ReadIds(tokenizer, json).AsSpan();
        if (wasSpecialAdded)
        {
            var added = Encode(tokenizer, [], addSpecial: true);
            if (ids.Length > 0 && added.Count > 0 && added[0] == tokenizer.BosId && ids[0] == tokenizer.BosId) ids = ids[1..];
            if (ids.Length > 0 && added.Count > 0 && added[^1] == tokenizer.EosId && ids[^1] == tokenizer.EosId) ids = ids[..^1];
        }
        List<byte> text = [];
        tokenizer.Decode(ids, text, includeControl: true);
        return [.. text];
    }

    static int[] ReadIds(ITokenizer tokenizer, byte[] json)
    {
        try
        {
            var ids = JsonSerializer.Deserialize<int[]>(json)
                ?? throw new CommandFailedException("--decode wants a JSON array of ids, such as [1, 2]; got null");
            foreach (var id in ids)
                if ((uint)id >= (uint)tokenizer.VocabularySize)
                    throw new CommandFailedException($"--decode got the id {id}; the model has ids from 0 to {tokenizer.VocabularySize - 1}");
            return ids;
        }
        catch (JsonException failure)
        {
            throw new CommandFailedException($"--decode wants a JSON array of ids, such as [1, 2]: {failure.Message}");
        }
    }

    static async Task<byte[]> ReadAsync(Stream input, CancellationToken cancellation)
    {
        var bytes = new MemoryStream();
        await input.CopyToAsync(bytes, cancellation);
        return bytes.ToArray();
    }

    static async Task WriteAsync(byte[] bytes, Stream output, CancellationToken cancellation)
    {
        await output.WriteAsync(bytes, cancellation);
        await output.FlushAsync(cancellation);
    }
}

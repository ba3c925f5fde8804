using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlamaCluster.Primitives;
using LlamaCluster.Text;

namespace LlamaCluster.Cli.Models;

/// <summary>What `generate --json` prints.</summary>
static class GenerationJson
{
    static readonly JsonWriterOptions Style = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary><c>tokens</c> has the id that ended the text, if one did; <c>text</c> does not.</summary>
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
        return string.Concat(tokens.Select(token => decoder.Append(token.Id))) + decoder.Flush();
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

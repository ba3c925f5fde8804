using System.Net.Http.Json;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace LlamaCluster.Cli.Bench;

/// <summary>A streamed completion of token ids, as any client of the API would read it.</summary>
sealed class ApiStream(HttpClient client, string model)
{
    const string DataMark = "data: ";
    const string EndMark = "[DONE]";

    /// <summary>Each text as it comes; exactly so many tokens are generated.</summary>
    /// <exception cref="CommandFailedException">The request failed, or was not answered in full.</exception>
    public async IAsyncEnumerable<string> ReadAsync(int[] prompt, int tokens, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var response = await SendAsync(prompt, tokens, cancellation);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
        var generated = 0;
        while (await reader.ReadLineAsync(cancellation) is { } line)
        {
            if (!line.StartsWith(DataMark, StringComparison.Ordinal) || line.EndsWith(EndMark, StringComparison.Ordinal)) continue;
            using var data = JsonDocument.Parse(line.AsMemory(DataMark.Length));
            if (data.RootElement.TryGetProperty("error", out var error)) throw Failed(error);
            if (data.RootElement.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object)
                generated = usage.GetProperty("completion_tokens").GetInt32();
            foreach (var choice in data.RootElement.GetProperty("choices").EnumerateArray())
                if (choice.GetProperty("text").GetString() is { Length: > 0 } text) yield return text;
        }
        if (generated != tokens) throw new CommandFailedException($"a stream gave {generated} of {tokens} tokens");
    }

    async Task<HttpResponseMessage> SendAsync(int[] prompt, int tokens, CancellationToken cancellation)
    {
        var body = new
        {
            model,
            prompt,
            max_tokens = tokens,
            temperature = 0,
            ignore_eos = true,
            stream = true,
            stream_options = new { include_usage = true },
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = JsonContent.Create(body) };
        var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        if (response.IsSuccessStatusCode) return response;
        using (response)
        {
            using var answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync(cancellation));
            throw Failed(answer.RootElement.GetProperty("error"));
        }
    }

    static CommandFailedException Failed(JsonElement error) => new($"a request failed: {error.GetProperty("message").GetString()}");
}

using System.Diagnostics;
using System.Net.Http.Json;
using System.Runtime.CompilerServices;
using System.Text.Json;
using LlamaCluster.Cli.Commands;

namespace LlamaCluster.Cli.Bench;

/// <summary>
/// Clients that all send a prompt at the same moment and read their streams to the end. Decoding is measured from the moment at which the last client
/// has its first token until the first client is done. Between these moments all streams decode and nothing else happens.
/// </summary>
sealed class ApiStreams(HttpClient client, string model, int generateTokens, StageMeter meter)
{
    StageReading? _allDecode;
    StageReading? _firstDone;
    int _waiting;

    /// <exception cref="CommandFailedException">A request was not answered in full, or the streams never decoded all at the same time.</exception>
    public async Task<ClusterRound> RunAsync(int[][] prompts, CancellationToken cancellation)
    {
        _waiting = prompts.Length;
        var start = Stopwatch.GetTimestamp();
        var streams = await Task.WhenAll(prompts.Select(prompt => Task.Run(() => ReadAsync(prompt, start, cancellation), cancellation)));
        if (_allDecode is not { } from || _firstDone is not { } to || to.Tokens <= from.Tokens || to.Steps == from.Steps)
            throw new CommandFailedException("the first stream was done before all of them had begun: give more --generate-tokens");
        return ClusterRound.Of(streams, from, to);
    }

    async Task<StreamTimes> ReadAsync(int[] prompt, long start, CancellationToken cancellation)
    {
        var times = new StreamTimes(start);
        await foreach (var _ in new ApiStream(client, model).ReadAsync(prompt, generateTokens, cancellation))
            if (times.TextCame() && Interlocked.Decrement(ref _waiting) == 0) _allDecode = meter.Read();
        Interlocked.CompareExchange(ref _firstDone, meter.Read(), null);
        return times;
    }
}

/// <summary>A streamed completion of token ids, as any client of the API would read it.</summary>
sealed class ApiStream(HttpClient client, string model)
{
    const string DataMark = "data: ";
    const string EndMark = "[DONE]";

    /// <summary>Yields each text as it arrives.</summary>
    /// <param name="tokens">Exactly so many tokens are generated.</param>
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

/// <summary>The times at which a stream's texts arrived.</summary>
/// <param name="start">When all requests were sent (<see cref="Stopwatch.GetTimestamp"/>).</param>
sealed class StreamTimes(long start)
{
    readonly List<TimeSpan> _gaps = [];
    long _last;

    /// <summary>From the start to the first text.</summary>
    public TimeSpan FirstToken { get; private set; }

    /// <summary>From each text to the next.</summary>
    public IReadOnlyList<TimeSpan> Gaps => _gaps;

    /// <returns>Whether it was the stream's first text.</returns>
    public bool TextCame()
    {
        var (now, first) = (Stopwatch.GetTimestamp(), _last == 0);
        if (first) FirstToken = Stopwatch.GetElapsedTime(start, now);
        else _gaps.Add(Stopwatch.GetElapsedTime(_last, now));
        _last = now;
        return first;
    }
}

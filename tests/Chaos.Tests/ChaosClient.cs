using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;

namespace LlamaCluster.Chaos.Tests;

/// <summary>Sends requests and gives the answers in a form that can be compared: of each choice its text, log-probabilities and end.</summary>
sealed class ChaosClient(HttpClient http)
{
    /// <summary>The longest that any answer may take, with all the workers that die meanwhile.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(90);

    long _longestGap;

    /// <summary>The longest time between two events of a stream.</summary>
    public TimeSpan LongestGap => TimeSpan.FromTicks(Interlocked.Read(ref _longestGap));

    public async Task<string> AnswerAsync(ChaosRequest request)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        try
        {
            using var response = await SendAsync(request, deadline.Token);
            var answer = request.IsStream ? await ReadEventsAsync(response, int.MaxValue, deadline.Token) : await ReadWholeAsync(response, deadline.Token);
            return answer;
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            throw new TimeoutException($"request {request.Number} hangs: no answer for {Deadline.TotalSeconds} s");
        }
    }

    /// <summary>Reads a few events, and hangs up.</summary>
    public async Task AbandonAsync(ChaosRequest request, int events)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        using var response = await SendAsync(request, deadline.Token);
        if (request.IsStream) await ReadEventsAsync(response, events, deadline.Token);
    }

    async Task<HttpResponseMessage> SendAsync(ChaosRequest request, CancellationToken cancellation)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent(request.Body().ToJsonString(), Encoding.UTF8, "application/json"),
        };
        var response = await http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, cancellation);
        Assert.True(
            response.IsSuccessStatusCode,
            $"request {request.Number}: {(int)response.StatusCode} "
            + $"{(response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync(cancellation))}");
        return response;
    }

    static async Task<string> ReadWholeAsync(HttpResponseMessage response, CancellationToken cancellation) =>
        JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellation))!["choices"]!.ToJsonString();

    async Task<string> ReadEventsAsync(HttpResponseMessage response, int most, CancellationToken cancellation)
    {
        SortedDictionary<int, StringBuilder> choices = [];
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
        var (isDone, last) = (false, Stopwatch.GetTimestamp());
        while (most > 0 && await reader.ReadLineAsync(cancellation) is { } line)
        {
            isDone |= line == "data: [DONE]";
            if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
            NoteGap(Stopwatch.GetElapsedTime(last));
            last = Stopwatch.GetTimestamp();
            most--;
            var data = JsonNode.Parse(line["data: ".Length..])!;
            Assert.True(data["error"] is null, line);
            var choice = data["choices"]![0]!;
            var index = (int)choice["index"]!;
            if (!choices.TryGetValue(index, out var its)) choices.Add(index, its = new StringBuilder());
            its.AppendLine(choice.ToJsonString());
        }
        Assert.True(isDone || most == 0, "a stream ended without [DONE]");
        return string.Join('\n', choices.Values);
    }

    void NoteGap(TimeSpan gap)
    {
        for (var known = Interlocked.Read(ref _longestGap); gap.Ticks > known; known = Interlocked.Read(ref _longestGap))
            if (Interlocked.CompareExchange(ref _longestGap, gap.Ticks, known) == known) return;
    }
}

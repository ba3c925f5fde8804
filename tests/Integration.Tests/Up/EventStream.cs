using System.Text;
using System.Text.Json;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>A streamed completion, as what its events say of the choices, in order. Choices may take turns, so each has a list of its own.</summary>
sealed class EventStream : IDisposable
{
    readonly HttpResponseMessage _answer;
    readonly StreamReader _lines;
    readonly SortedDictionary<int, List<string>> _choices = [];

    EventStream(HttpResponseMessage answer, StreamReader lines) => (_answer, _lines) = (answer, lines);

    public static async Task<EventStream> OpenAsync(HttpClient http, string body)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.True(answer.IsSuccessStatusCode, $"{(int)answer.StatusCode}: {(answer.IsSuccessStatusCode ? "" : await answer.Content.ReadAsStringAsync())}");
        return new EventStream(answer, new StreamReader(await answer.Content.ReadAsStreamAsync()));
    }

    /// <summary>Reads so many events, none of them an error.</summary>
    public async Task ReadAsync(int events)
    {
        for (; events > 0; events--) Assert.True(await TryReadAsync(), $"the stream ended {events} events too soon");
    }

    /// <summary>Reads the next event, which is no error.</summary>
    /// <returns>False at the end.</returns>
    public async Task<bool> TryReadAsync()
    {
        using var deadline = new CancellationTokenSource(CliProcess.Deadline);
        while (await _lines.ReadLineAsync(deadline.Token) is { } line)
            if (Take(line)) return true;
        return false;
    }

    /// <returns>All that was ever read of each choice, or, if it may fail and has, the error.</returns>
    public async Task<IReadOnlyList<string>> RestAsync(bool mayFail = false)
    {
        using var deadline = new CancellationTokenSource(CliProcess.Deadline);
        var last = "";
        while (await _lines.ReadLineAsync(deadline.Token) is { } line)
        {
            if (line.Length > 0) last = line;
            if (mayFail && line.Contains("\"error\"")) return [line["data: ".Length..]];
            Take(line);
        }
        Assert.Equal("data: [DONE]", last);
        return [.. _choices.Values.Select(choice => string.Join('\n', choice))];
    }

    public void Dispose()
    {
        _lines.Dispose();
        _answer.Dispose();
    }

    bool Take(string line)
    {
        if (!line.StartsWith("data: {", StringComparison.Ordinal)) return false;
        using var json = JsonDocument.Parse(line["data: ".Length..]);
        Assert.False(json.RootElement.TryGetProperty("error", out var error), error.ToString());
        var choice = json.RootElement.GetProperty("choices")[0];
        var index = choice.GetProperty("index").GetInt32();
        if (!_choices.TryGetValue(index, out var its)) _choices.Add(index, its = []);
        its.Add(choice.GetRawText());
        return true;
    }
}

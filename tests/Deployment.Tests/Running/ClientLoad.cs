using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Integration.Tests.Up;

namespace LlamaCluster.Deployment.Tests.Running;

/// <summary>
/// Clients that stream completions one after another, as the usual libraries do: one that is answered 503 asks again after Retry-After, and so does one
/// that finds nobody at the address. A stream that has begun is never asked for again: it must come to its end, with the text that it always has.
/// </summary>
sealed class ClientLoad : IAsyncDisposable
{
    static readonly string[] Prompts = ["The coordinator", "A worker", "The pipeline", "Every stage"];

    readonly Func<Task<Uri?>> _service;
    readonly HttpClient _http = new() { Timeout = CliProcess.Deadline };
    readonly CancellationTokenSource _enough = new();
    readonly ConcurrentDictionary<string, string> _texts = new();
    readonly ConcurrentQueue<string> _lost = [];
    readonly Task _clients;
    int _answered;
    int _refused;

    /// <param name="key">What clients show.</param>
    /// <param name="service">Where the Service sends a request now; null while no coordinator is ready.</param>
    public ClientLoad(string key, Func<Task<Uri?>> service)
    {
        _service = service;
        _http.DefaultRequestHeaders.Authorization = new("Bearer", key);
        _clients = Task.WhenAll(Prompts.Select(prompt => Task.Run(() => ClientAsync(prompt))));
    }

    /// <summary>Streams that came to their end.</summary>
    public int Answered => _answered;

    /// <summary>Requests that were told to come again.</summary>
    public int Refused => _refused;

    /// <summary>What happened to streams that began and did not end as they should.</summary>
    public IReadOnlyCollection<string> Lost => _lost;

    /// <summary>Waits until so many more streams have come to their end.</summary>
    public async Task MoreAsync(int count, TimeSpan longest)
    {
        var wanted = Answered + count;
        using var deadline = new CancellationTokenSource(longest);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (Answered < wanted && Lost.Count == 0)
            if (!await timer.WaitForNextTickAsync(deadline.Token)) return;
    }

    /// <summary>Lets the streams that have begun come to their end, and begins no others.</summary>
    public async Task EndAsync()
    {
        await _enough.CancelAsync();
        await _clients;
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _http.Dispose();
        _enough.Dispose();
    }

    async Task ClientAsync(string prompt)
    {
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(200));
        while (!_enough.IsCancellationRequested)
            try
            {
                if (await _service() is { } api && await StreamAsync(api, prompt)) Interlocked.Increment(ref _answered);
                else await pause.WaitForNextTickAsync(_enough.Token);
            }
            catch (OperationCanceledException) when (_enough.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                _lost.Enqueue($"{prompt}: {e.Message} {e.InnerException?.Message}");
            }
    }

    /// <returns>False if it was to come again.</returns>
    async Task<bool> StreamAsync(Uri api, string prompt)
    {
        var body = new JsonObject
        {
            ["model"] = "llamacluster-demo-5m-q8_0",
            ["prompt"] = prompt,
            ["max_tokens"] = 150,
            ["temperature"] = 0,
            ["ignore_eos"] = true,
            ["stream"] = true,
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(api, "/v1/completions"))
        {
            Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"),
        };
        HttpResponseMessage answer;
        try
        {
            answer = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        }
        catch (HttpRequestException e)
        {
            // What comes as the last thing before a server closes its socket is taken by the system and reset with it: nobody was at the address.
            if (e.HttpRequestError != HttpRequestError.ConnectionError && await IsThereAsync(api)) throw;
            Interlocked.Increment(ref _refused);
            return false;
        }
        using (answer)
        {
            if (answer.StatusCode == HttpStatusCode.ServiceUnavailable && answer.Headers.RetryAfter is not null)
            {
                Interlocked.Increment(ref _refused);
                return false;
            }
            if (answer.StatusCode != HttpStatusCode.OK) throw new InvalidOperationException($"{answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
            var text = await TextAsync(answer);
            var expected = _texts.GetOrAdd(prompt, text);
            if (text != expected) throw new InvalidOperationException($"'{text}' in place of '{expected}'");
            return true;
        }
    }

    static async Task<string> TextAsync(HttpResponseMessage answer)
    {
        var text = new StringBuilder();
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
        while (await reader.ReadLineAsync() is { } line)
        {
            if (line == "data: [DONE]") return text.ToString();
            if (!line.StartsWith("data: ", StringComparison.Ordinal)) continue;
            var part = JsonNode.Parse(line["data: ".Length..])!;
            if (part["error"] is { } error) throw new InvalidOperationException($"after {text.Length} characters: {error.ToJsonString()}");
            if (part["choices"] is JsonArray { Count: > 0 } choices) text.Append((string?)choices[0]!["text"]);
        }
        throw new InvalidOperationException($"the stream broke off after {text.Length} characters");
    }

    static async Task<bool> IsThereAsync(Uri api)
    {
        using var client = new TcpClient();
        try
        {
            await client.ConnectAsync(api.Host, api.Port).WaitAsync(CliProcess.Deadline);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

using System.Net.ServerSentEvents;
using System.Text.Json;
using LlamaCluster.Coordinator.Observing;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests.Observing;

/// <summary>A client of /v1/cluster/events.</summary>
sealed class ClusterListener : IAsyncDisposable
{
    readonly HttpResponseMessage _answer;
    readonly IAsyncEnumerator<SseItem<string>> _events;

    ClusterListener(HttpResponseMessage answer, Stream body) => (_answer, _events) = (answer, SseParser.Create(body).EnumerateAsync().GetAsyncEnumerator());

    public static async Task<ClusterListener> OpenAsync(HttpClient http, string path = "/v1/cluster/events", string? accept = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (accept is not null) request.Headers.Add("Accept", accept);
        var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead).Soon();
        Assert.True(answer.IsSuccessStatusCode, $"{(int)answer.StatusCode}");
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType?.MediaType);
        return new ClusterListener(answer, await answer.Content.ReadAsStreamAsync());
    }

    /// <summary>The next snapshot; null: the stream has ended.</summary>
    public async Task<ClusterSnapshot?> NextAsync()
    {
        if (!await _events.MoveNextAsync().AsTask().Soon("an event comes")) return null;
        Assert.Equal("cluster", _events.Current.EventType);
        return JsonSerializer.Deserialize(_events.Current.Data, ClusterJson.Default.ClusterSnapshot);
    }

    /// <summary>The first snapshot that meets the condition.</summary>
    public async Task<ClusterSnapshot> UntilAsync(Func<ClusterSnapshot, bool> condition, string what)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (await NextAsync() is { } snapshot)
        {
            if (condition(snapshot)) return snapshot;
            if (TimeProvider.System.GetElapsedTime(began) > WaitExtensions.Deadline)
                throw new TimeoutException($"no snapshot says that {what}; the last one was {snapshot}");
        }
        throw new InvalidOperationException($"the stream ended before {what}");
    }

    public async ValueTask DisposeAsync()
    {
        _answer.Dispose();   // ends a read that waits
        await _events.DisposeAsync();
    }
}

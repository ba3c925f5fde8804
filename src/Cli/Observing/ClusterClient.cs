using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Observing;

namespace LlamaCluster.Cli.Observing;

/// <summary>A client of /v1/cluster. Every failure is a <see cref="CommandFailedException"/>.</summary>
sealed class ClusterClient : IDisposable
{
    const string Address = "/v1/cluster";

    static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);

    /// <summary>A snapshot comes each second. A coordinator that is silent for so long is gone, or is no coordinator.</summary>
    static readonly TimeSpan Silence = TimeSpan.FromSeconds(10);

    readonly HttpClient _http;
    readonly Uri _url;
    readonly TimeProvider _time;

    public ClusterClient(Uri url, TimeProvider time)
    {
        (_url, _time) = (url, time);
        var handler = HttpHandlers.ForUsersAddress();
        handler.ConnectTimeout = ConnectTimeout;
        _http = new HttpClient(handler) { BaseAddress = url, Timeout = Timeout.InfiniteTimeSpan };
        ClientKey.AddTo(_http);
    }

    public string Url => _url.GetLeftPart(UriPartial.Authority);

    /// <summary>The cluster as it is now, as JSON.</summary>
    public async Task<string> NowAsync(CancellationToken cancellation)
    {
        using var deadline = new Deadline(_time, cancellation);
        using var response = await SendAsync("application/json", deadline);
        return await GuardAsync(response.Content.ReadAsStringAsync(deadline.Token), deadline);
    }

    /// <summary>The cluster as it was and as it comes to be. Ends never by itself.</summary>
    public async IAsyncEnumerable<ClusterSnapshot> FollowAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        using var deadline = new Deadline(_time, cancellation);
        using var response = await SendAsync("text/event-stream", deadline);
        var events = SseParser.Create(await GuardAsync(response.Content.ReadAsStreamAsync(deadline.Token), deadline))
            .EnumerateAsync(deadline.Token).GetAsyncEnumerator(CancellationToken.None);
        await using (events)
            while (true)
            {
                deadline.Extend();
                if (!await GuardAsync(events.MoveNextAsync().AsTask(), deadline))
                    throw new CommandFailedException($"{Url} closed the connection: the coordinator is stopping");
                yield return Parse(events.Current.Data);
            }
    }

    public ClusterSnapshot Parse(string json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, ClusterJson.Default.ClusterSnapshot) is { Replicas.Count: > 0 } snapshot ? snapshot : throw NoCluster();
        }
        catch (JsonException)
        {
            throw NoCluster();
        }
    }

    public void Dispose() => _http.Dispose();

    async Task<HttpResponseMessage> SendAsync(string accept, Deadline deadline)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Address) { Headers = { { "Accept", accept } } };
        var response = await GuardAsync(_http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, deadline.Token), deadline);
        if (response.IsSuccessStatusCode && response.Content.Headers.ContentType?.MediaType == accept) return response;
        using (response)
        {
            var body = await GuardAsync(response.Content.ReadAsStringAsync(deadline.Token), deadline);
            throw new CommandFailedException(ApiErrorText.Of(body) ?? NoCluster().Message);
        }
    }

    async Task<T> GuardAsync<T>(Task<T> task, Deadline deadline)
    {
        try
        {
            return await task;
        }
        catch (Exception broken) when (broken is HttpRequestException or IOException)
        {
            throw new CommandFailedException($"{Url} cannot be reached: {broken.Message}; is the cluster up?");
        }
        catch (OperationCanceledException) when (deadline.IsOver)
        {
            throw new CommandFailedException($"{Url} has said nothing for {Silence.TotalSeconds:0} s");
        }
    }

    CommandFailedException NoCluster() => new($"{Url} is no coordinator of this version: it did not answer {Address} with a cluster");

    /// <summary>Ends a call that hears nothing for too long.</summary>
    sealed class Deadline : IDisposable
    {
        readonly CancellationTokenSource _silence;
        readonly CancellationTokenSource _ends;

        public Deadline(TimeProvider time, CancellationToken cancellation)
        {
            _silence = new CancellationTokenSource(Silence, time);
            _ends = CancellationTokenSource.CreateLinkedTokenSource(_silence.Token, cancellation);
        }

        public CancellationToken Token => _ends.Token;

        public bool IsOver => _silence.IsCancellationRequested;

        public void Extend() => _silence.CancelAfter(Silence);

        public void Dispose()
        {
            _ends.Dispose();
            _silence.Dispose();
        }
    }
}

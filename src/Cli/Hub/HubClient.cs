using System.Net;
using System.Net.Http.Headers;
using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Cli.Hub;

/// <summary>
/// Asks a hub, which may send callers on to other hosts, and says what its refusals mean. The token goes to the hub alone. What may pass (429, 5xx, broken
/// connections) is tried again, after as long as the hub says.
/// </summary>
sealed class HubClient : IDisposable
{
    /// <summary>Attempts in a row that bring nothing.</summary>
    public const int Attempts = 8;

    const int Redirects = 5;
    const int ListBytes = 64 << 20;

    /// <summary>A hub that says to wait longer is not waited for.</summary>
    static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(5);

    static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(60);

    readonly Uri _endpoint;
    readonly string? _token;
    readonly TimeProvider _time;
    readonly HttpClient _http;

    public HubClient(Uri endpoint, string? token, TimeProvider time)
    {
        (_endpoint, _token, _time) = (endpoint, token, time);
        var handler = HttpHandlers.ForUsersAddress();
        handler.AllowAutoRedirect = false;
        handler.ConnectTimeout = AnswerTimeout;
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.UserAgent.ParseAdd("llamacluster");
    }

    public TimeProvider Time => _time;

    /// <exception cref="HubException">The hub refuses, or cannot be reached.</exception>
    public async Task<HubRepository> ListAsync(HubReference reference, CancellationToken cancellation)
    {
        var address = new Uri(_endpoint, $"api/models/{reference.Repository}/revision/{Uri.EscapeDataString(reference.Revision)}?blobs=true");
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                using var response = await AskAsync(address, from: 0, reference, cancellation);
                var body = await ReadAsync(response, cancellation);
                return HubRepository.Read(body, $"{_endpoint}");
            }
            catch (HubTroubleException trouble)
            {
                await PauseAsync(trouble, attempt, cancellation);
            }
        }
    }

    /// <summary>A file's content from a byte on; of the whole if the hub does not know of parts, which its status says.</summary>
    /// <exception cref="HubTroubleException">It may be tried again.</exception>
    /// <exception cref="HubException">It may not.</exception>
    public Task<HttpResponseMessage> OpenAsync(HubReference reference, string commit, HubFile file, long from, CancellationToken cancellation)
    {
        var path = string.Join('/', file.Name.Split('/').Select(Uri.EscapeDataString));
        return AskAsync(new Uri(_endpoint, $"{reference.Repository}/resolve/{commit}/{path}"), from, reference, cancellation);
    }

    /// <summary>Waits before the next attempt.</summary>
    /// <exception cref="HubException">There was the last one, or the hub wants a longer wait.</exception>
    public async Task PauseAsync(HubTroubleException trouble, int attempt, CancellationToken cancellation)
    {
        if (attempt >= Attempts) throw new HubException($"{trouble.Message}; tried {attempt} times: what was fetched is kept, pull again later");
        var wait = trouble.Wait ?? TimeSpan.FromSeconds(Math.Min(30, Math.Pow(2, attempt - 1)));
        if (wait > LongestWait) throw new HubException($"{trouble.Message}; pull again in {wait.TotalMinutes:0} min: what was fetched is kept");
        await Task.Delay(wait, _time, cancellation);
    }

    public void Dispose() => _http.Dispose();

    async Task<HttpResponseMessage> AskAsync(Uri address, long from, HubReference reference, CancellationToken cancellation)
    {
        var hub = address;
        for (var redirects = 0; ; redirects++)
        {
            var response = await SendAsync(address, from, isHub: SameHost(address, hub), cancellation);
            if ((int)response.StatusCode is < 300 or >= 400) return Judge(response, address, reference);
            using (response)
            {
                var next = response.Headers.Location is { } location ? new Uri(address, location) : null;
                if (next is null || redirects == Redirects || next.Scheme is not ("http" or "https") || (address.Scheme == Uri.UriSchemeHttps && next.Scheme == Uri.UriSchemeHttp))
                    throw new HubException($"{reference}: {address.Host} leads to {response.Headers.Location?.ToString() ?? "nowhere"}, which is not followed");
                address = next;
            }
        }
    }

    async Task<HttpResponseMessage> SendAsync(Uri address, long from, bool isHub, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        if (isHub && _token is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _token);
        if (from > 0) request.Headers.Range = new RangeHeaderValue(from, null);
        using var limit = new CancellationTokenSource(AnswerTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        try
        {
            return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
        }
        catch (HttpRequestException e)
        {
            throw new HubTroubleException($"{address.Host} cannot be reached: {e.Message}", null);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new HubTroubleException($"{address.Host} has not answered for {AnswerTimeout.TotalSeconds:0} s", null);
        }
    }

    static bool SameHost(Uri a, Uri b) => a.Scheme == b.Scheme && a.Authority == b.Authority;

    HttpResponseMessage Judge(HttpResponseMessage response, Uri address, HubReference reference)
    {
        if (response.IsSuccessStatusCode || response.StatusCode is HttpStatusCode.RequestedRangeNotSatisfiable) return response;
        using (response)
        {
            var code = response.Headers.TryGetValues("X-Error-Code", out var codes) ? codes.First() : "";
            throw response.StatusCode switch
            {
                HttpStatusCode.TooManyRequests => new HubTroubleException($"{address.Host} has had too many requests (429)", WaitOf(response)),
                >= HttpStatusCode.InternalServerError => new HubTroubleException($"{address.Host} answers {(int)response.StatusCode}", WaitOf(response)),
                HttpStatusCode.Unauthorized when _token is null => new HubException(
                    $"{reference} is not there, or not for everybody (401): give a token, {HubSettings.TokenOption} FILE or HF_TOKEN"),
                HttpStatusCode.Unauthorized => new HubException($"{reference}: the hub does not know the token (401)"),
                HttpStatusCode.Forbidden when code == "GatedRepo" => new HubException(
                    $"{reference} is gated (403): accept its terms on its page of the hub, with the account that the token is of, then pull again"),
                HttpStatusCode.Forbidden => new HubException(
                    $"{reference} is not for {(_token is null ? "everybody (403): give a token" : "the account that the token is of (403)")}"),
                HttpStatusCode.NotFound => new HubException(
                    $"{reference}: {(code == "RevisionNotFound" ? "there is no such revision" : code == "EntryNotFound" ? "there is no such file" : "there is no such model")} (404)"),
                _ => new HubException($"{reference}: {address.Host} answers {(int)response.StatusCode} {response.ReasonPhrase}"),
            };
        }
    }

    TimeSpan? WaitOf(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } wait } => wait,
        { Date: { } date } => date - _time.GetUtcNow() is var wait && wait > TimeSpan.Zero ? wait : TimeSpan.Zero,
        _ => null,
    };

    static async Task<byte[]> ReadAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        try
        {
            await response.Content.LoadIntoBufferAsync(ListBytes, cancellation);
            return await response.Content.ReadAsByteArrayAsync(cancellation);
        }
        catch (HttpRequestException e)
        {
            throw new HubTroubleException($"the list of files broke off: {e.Message}", null);
        }
    }
}

/// <summary>Something that may pass.</summary>
/// <param name="Wait">How long the hub says to wait; null: it does not say.</param>
sealed class HubTroubleException(string message, TimeSpan? wait) : Exception(message)
{
    public TimeSpan? Wait => wait;
}

/// <summary>A hub refuses, or gives what is no model. The message is one line: what, where, and what to do.</summary>
sealed class HubException(string message) : IOException(message);

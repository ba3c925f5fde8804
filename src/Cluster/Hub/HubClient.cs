using System.Net;
using System.Net.Http.Headers;
using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Cluster.Hub;

/// <summary>Where a hub is, and as whom to ask it.</summary>
/// <param name="Endpoint">Ends with a slash.</param>
/// <param name="Token">Null: callers are nobody.</param>
public sealed record HubAccess(Uri Endpoint, string? Token)
{
    /// <summary>Not the token, which has no place in a log.</summary>
    public override string ToString() => $"{Endpoint}";
}

/// <summary>How patient a caller of a hub is, and what it tells people to do.</summary>
/// <param name="Attempts">In a row that bring nothing.</param>
/// <param name="Silence">The longest wait for an answer, or for more of one.</param>
/// <param name="LongestWait">A hub that says to wait longer is not waited for.</param>
/// <param name="GiveToken">What to do where a token is needed.</param>
/// <param name="Later">Follows the news that the hub was given up; "" for nothing.</param>
public sealed record HubManners(int Attempts, TimeSpan Silence, TimeSpan LongestWait, string GiveToken, string Later);

/// <summary>
/// Asks a hub, which may send callers on to other hosts, and says what its refusals mean. The token goes to the hub alone. What may pass (429, 5xx, broken
/// connections) is tried again, after as long as the hub says.
/// </summary>
public sealed class HubClient : IDisposable
{
    const int Redirects = 5;
    const int ListBytes = 64 << 20;

    readonly HubAccess _access;
    readonly HubManners _manners;
    readonly TimeProvider _time;
    readonly HttpClient _http;

    public HubClient(HubAccess access, HubManners manners, TimeProvider time)
    {
        (_access, _manners, _time) = (access, manners, time);
        var handler = HttpHandlers.ForUsersAddress();
        handler.AllowAutoRedirect = false;
        handler.ConnectTimeout = manners.Silence;
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        _http.DefaultRequestHeaders.UserAgent.ParseAdd("llamacluster");
    }

    public Uri Endpoint => _access.Endpoint;

    /// <summary>A small document, such as a list of files. What may pass is tried again.</summary>
    /// <param name="path">Below the endpoint.</param>
    /// <param name="subject">What is asked for, for messages.</param>
    /// <exception cref="HubException">The hub refuses, or cannot be reached.</exception>
    public async Task<byte[]> ReadAsync(string path, string subject, CancellationToken cancellation)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                using var response = await AskAsync(new Uri(Endpoint, path), null, subject, cancellation);
                return await ReadAsync(response, cancellation);
            }
            catch (HubTroubleException trouble)
            {
                await PauseAsync(trouble, attempt, cancellation);
            }
        }
    }

    /// <summary>A file's content from a byte on; of the whole if the hub does not know of parts, which the result says.</summary>
    /// <param name="repository">ORG/REPO.</param>
    /// <param name="last">The last byte that is wanted; null: to the end.</param>
    /// <param name="subject">What is asked for, for messages.</param>
    /// <exception cref="HubTroubleException">It may be tried again.</exception>
    /// <exception cref="HubException">It may not.</exception>
    public async Task<HubContent> OpenAsync(
        string repository, string commit, string file, long from, long? last, string subject, CancellationToken cancellation)
    {
        var path = string.Join('/', file.Split('/').Select(Uri.EscapeDataString));
        var range = from > 0 || last is not null ? new RangeHeaderValue(from, last) : null;
        var response = await AskAsync(new Uri(Endpoint, $"{repository}/resolve/{commit}/{path}"), range, subject, cancellation);
        return new HubContent(response, file, _manners.Silence, _time);
    }

    /// <summary>Waits before the next attempt.</summary>
    /// <exception cref="HubException">There was the last one, or the hub wants a longer wait.</exception>
    public async Task PauseAsync(HubTroubleException trouble, int attempt, CancellationToken cancellation)
    {
        if (attempt >= _manners.Attempts) throw new HubException($"{trouble.Message}; tried {attempt} times{_manners.Later}");
        var wait = trouble.Wait ?? TimeSpan.FromSeconds(Math.Min(30, Math.Pow(2, attempt - 1)));
        if (wait > _manners.LongestWait)
            throw new HubException($"{trouble.Message}; it wants to be asked again in {wait.TotalMinutes:0.#} min{_manners.Later}");
        await Task.Delay(wait, _time, cancellation);
    }

    public void Dispose() => _http.Dispose();

    async Task<HttpResponseMessage> AskAsync(Uri address, RangeHeaderValue? range, string subject, CancellationToken cancellation)
    {
        var hub = address;
        for (var redirects = 0; ; redirects++)
        {
            var response = await SendAsync(address, range, isHub: SameHost(address, hub), cancellation);
            if ((int)response.StatusCode is < 300 or >= 400) return Judge(response, address, subject);
            using (response)
            {
                var next = response.Headers.Location is { } location ? new Uri(address, location) : null;
                if (next is null || redirects == Redirects || next.Scheme is not ("http" or "https")
                    || (address.Scheme == Uri.UriSchemeHttps && next.Scheme == Uri.UriSchemeHttp))
                    throw new HubException($"{subject}: {address.Host} leads to {response.Headers.Location?.ToString() ?? "nowhere"}, which is not followed");
                address = next;
            }
        }
    }

    async Task<HttpResponseMessage> SendAsync(Uri address, RangeHeaderValue? range, bool isHub, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        if (isHub && _access.Token is { } token) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        request.Headers.Range = range;
        using var limit = new CancellationTokenSource(_manners.Silence, _time);
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
            throw new HubTroubleException($"{address.Host} has not answered for {_manners.Silence.TotalSeconds:0.##} s", null);
        }
    }

    static bool SameHost(Uri a, Uri b) => a.Scheme == b.Scheme && a.Authority == b.Authority;

    HttpResponseMessage Judge(HttpResponseMessage response, Uri address, string subject)
    {
        if (response.IsSuccessStatusCode || response.StatusCode is HttpStatusCode.RequestedRangeNotSatisfiable) return response;
        using (response)
        {
            var code = response.Headers.TryGetValues("X-Error-Code", out var codes) ? codes.First() : "";
            var isNobody = _access.Token is null;
            throw response.StatusCode switch
            {
                HttpStatusCode.TooManyRequests => new HubTroubleException($"{address.Host} has had too many requests (429)", WaitOf(response)),
                >= HttpStatusCode.InternalServerError => new HubTroubleException($"{address.Host} answers {(int)response.StatusCode}", WaitOf(response)),
                HttpStatusCode.Unauthorized when isNobody => new HubException(
                    $"{subject} is not there, or not for everybody (401): give a token, {_manners.GiveToken}"),
                HttpStatusCode.Unauthorized => new HubException($"{subject}: the hub does not know the token (401)"),
                HttpStatusCode.Forbidden when code == "GatedRepo" => new HubException(
                    $"{subject} is gated (403): accept its terms on its page of the hub, with the account that the token is of, then try again"),
                HttpStatusCode.Forbidden => new HubException(
                    $"{subject} is not for {(isNobody ? "everybody (403): give a token" : "the account that the token is of (403)")}"),
                HttpStatusCode.NotFound => new HubException(
                    $"{subject}: there is no such {(code == "RevisionNotFound" ? "revision" : code == "EntryNotFound" ? "file" : "model")} (404)"),
                _ => new HubException($"{subject}: {address.Host} answers {(int)response.StatusCode} {response.ReasonPhrase}"),
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
/// <param name="wait">How long the hub says to wait; null: it does not say.</param>
public sealed class HubTroubleException(string message, TimeSpan? wait) : Exception(message)
{
    public TimeSpan? Wait => wait;
}

/// <summary>A hub refuses, or gives what is no model. The message is one line: what, where, and what to do.</summary>
public sealed class HubException(string message) : IOException(message);

using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Cli.Sessions;

/// <summary>A client of /v1/sessions. Every failure is a <see cref="CommandFailedException"/>.</summary>
sealed class SessionsClient : IDisposable
{
    const int LargestPage = 100;

    static readonly TimeSpan Timeout = TimeSpan.FromSeconds(60);

    readonly HttpClient _http;
    readonly Uri _url;

    public SessionsClient(Uri url)
    {
        (_url, _http) = (url, new HttpClient(HttpHandlers.ForUsersAddress()) { BaseAddress = url, Timeout = Timeout });
        ClientKey.AddTo(_http);
    }

    public async Task<IReadOnlyList<JsonObject>> ListAsync(int most, CancellationToken cancellation)
    {
        List<JsonObject> sessions = [];
        string? after = null;
        do
        {
            var limit = Math.Min(LargestPage, most - sessions.Count);
            var page = await SendAsync(HttpMethod.Get, $"?limit={limit}{(after is null ? "" : $"&after={Uri.EscapeDataString(after)}")}", null, cancellation);
            sessions.AddRange(page["data"]!.AsArray().Select(session => session!.AsObject()));
            after = page["has_more"]!.GetValue<bool>() ? (string?)page["last_id"] : null;
        }
        while (after is not null && sessions.Count < most);
        return sessions;
    }

    public Task<JsonObject> FindAsync(string id, CancellationToken cancellation) => SendAsync(HttpMethod.Get, PathOf(id), null, cancellation);

    public Task<JsonObject> ExportAsync(string id, CancellationToken cancellation) => SendAsync(HttpMethod.Get, $"{PathOf(id)}/export", null, cancellation);

    public Task DeleteAsync(string id, CancellationToken cancellation) => SendAsync(HttpMethod.Delete, PathOf(id), null, cancellation);

    /// <returns>The new session's id.</returns>
    public async Task<string> ImportAsync(string export, CancellationToken cancellation)
        => (string)(await SendAsync(HttpMethod.Post, "/import", export, cancellation))["id"]!;

    public void Dispose() => _http.Dispose();

    static string PathOf(string id) => $"/{Uri.EscapeDataString(id)}";

    async Task<JsonObject> SendAsync(HttpMethod method, string path, string? body, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(method, $"/v1/sessions{path}");
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        try
        {
            using var response = await _http.SendAsync(request, cancellation);
            var answer = JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellation)) as JsonObject;
            if (response.IsSuccessStatusCode && answer is not null) return answer;
            throw new CommandFailedException((string?)answer?["error"]?["message"] ?? $"{_url} answered {(int)response.StatusCode}");
        }
        catch (JsonException)
        {
            throw new CommandFailedException($"{_url} is no llamacluster: it did not answer with JSON");
        }
        catch (HttpRequestException unreachable)
        {
            throw new CommandFailedException($"{_url} cannot be reached: {unreachable.Message}; is the cluster up?");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new CommandFailedException($"{_url} did not answer within {Timeout.TotalSeconds:0} s");
        }
    }
}

using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Cli.Chat;

/// <summary>A client of the HTTP API, as far as a chat needs it. Every failure is a <see cref="CommandFailedException"/>.</summary>
sealed class ChatClient : IDisposable
{
    /// <summary>The time limit for a connection. Answers have no time limit.</summary>
    static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(10);

    readonly HttpClient _http;
    readonly Uri _url;

    public ChatClient(Uri url)
    {
        _url = url;
        var handler = HttpHandlers.ForUsersAddress();
        handler.ConnectTimeout = ConnectTimeout;
        _http = new HttpClient(handler) { BaseAddress = url, Timeout = Timeout.InfiniteTimeSpan };
        ClientKey.AddTo(_http);
    }

    /// <summary>Asks for the name of the model that is served.</summary>
    public async Task<string> ModelAsync(CancellationToken cancellation)
    {
        using var response = await SendAsync(new(HttpMethod.Get, "/v1/models"), cancellation);
        var models = JsonNode.Parse(await response.Content.ReadAsStringAsync(cancellation));
        var name = models?["data"] is JsonArray { Count: > 0 } data ? data[0]?["id"]?.GetValue<string>() : null;
        return name ?? throw new CommandFailedException($"{_url} serves no model");
    }

    /// <summary>Yields the pieces of the answer to a conversation as they arrive.</summary>
    public async IAsyncEnumerable<string> AnswerAsync(string model, JsonArray messages, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var body = new JsonObject { ["model"] = model, ["messages"] = messages.DeepClone(), ["stream"] = true };
        using var response = await SendAsync(new(HttpMethod.Post, "/v1/chat/completions") { Content = JsonContent.Create(body) }, cancellation);
        var complete = false;
        await foreach (var happened in SseParser.Create(await response.Content.ReadAsStreamAsync(cancellation)).EnumerateAsync(cancellation))
        {
            complete = happened.Data == "[DONE]";
            if (complete) break;
            if (PieceOf(happened.Data) is { Length: > 0 } piece) yield return piece;
        }
        if (!complete) throw new CommandFailedException("the answer was cut short: the connection ended");
    }

    public void Dispose() => _http.Dispose();

    async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        try
        {
            var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
            if (response.IsSuccessStatusCode) return response;
            using (response)
            {
                var problem = ApiErrorText.Of(await response.Content.ReadAsStringAsync(cancellation));
                throw new CommandFailedException(problem ?? $"{_url} answered {(int)response.StatusCode}");
            }
        }
        catch (HttpRequestException unreachable)
        {
            throw new CommandFailedException($"{_url} cannot be reached: {unreachable.Message}; is the cluster up?");
        }
    }

    static string? PieceOf(string data)
    {
        if (ApiErrorText.Of(data) is { } error) throw new CommandFailedException($"the answer was cut short: {error}");
        return JsonNode.Parse(data)?["choices"] is JsonArray { Count: > 0 } choices ? choices[0]?["delta"]?["content"]?.GetValue<string>() : null;
    }
}

using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Reading;

namespace LlamaCluster.Coordinator.Api.Filtering;

/// <summary>What a server of filters has said.</summary>
/// <param name="Categories">Of what is not fit; empty: it is.</param>
/// <param name="Replacement">What to tell instead; null: what there is.</param>
/// <param name="Problem">Not null: it has not said anything, for this reason.</param>
sealed record FilterAnswer(IReadOnlyList<string> Categories, string? Replacement = null, string? Problem = null)
{
    public static FilterAnswer Fit { get; } = new([]);

    public static FilterAnswer Failed(string problem) => new([], Problem: problem);
}

/// <summary>Asks the servers that judge. Each call has a deadline, and what comes back a bound. Safe for concurrent use.</summary>
sealed class FilterServers(FilterOptions options, TimeProvider time) : IDisposable
{
    /// <summary>The key that the guard asks for, if it does.</summary>
    public const string KeyVariable = "LLAMACLUSTER_GUARD_KEY";

    const int MostBytes = 1 << 20;
    const int VerdictTokens = 32;
    const int LongestCategory = 64;

    readonly HttpClient _http = new(Handler())
    {
        MaxResponseContentBufferSize = MostBytes,
        Timeout = Timeout.InfiniteTimeSpan,
    };

    readonly HashSet<string> _categories =
        [.. options.GuardCategories.Count > 0 ? options.GuardCategories : LlamaGuard.Categories.Select(category => category.Code)];
    volatile string? _model;

    /// <summary>The guard's verdict on the last of these turns.</summary>
    public Task<FilterAnswer> JudgeAsync(IReadOnlyList<SpokenTurn> turns, CancellationToken cancellation) =>
        AskAsync("the guard", options.Guard!, async ending =>
        {
            var model = _model ??= await FirstModelAsync(ending);
            var answer = await PostAsync(AddressOf("completions"), new JsonObject
            {
                ["model"] = model,
                ["prompt"] = LlamaGuard.Ask(turns, _categories),
                ["max_tokens"] = VerdictTokens,
                ["temperature"] = 0,
            }, ending);
            var text = (string?)answer?["choices"]?[0]?["text"] ?? "";
            return LlamaGuard.Read(text) is { } categories ? new FilterAnswer(categories) : FilterAnswer.Failed($"'{JsonText.Shorten(text)}' is no verdict");
        }, cancellation);

    /// <summary>What the output filter makes of a window of an answer.</summary>
    public Task<FilterAnswer> FilterAsync(FilteredWindow window, CancellationToken cancellation) =>
        AskAsync("the output filter", options.OutputFilter!, async ending =>
        {
            var answer = await PostAsync(options.OutputFilter!, window.ToJson(), ending);
            return (string?)answer?["action"] switch
            {
                "allow" => FilterAnswer.Fit,
                "block" => new FilterAnswer([(string?)answer["category"] is { Length: > 0 } category ? Plain(category) : FilterVerdict.Unnamed]),
                "replace" when (string?)answer["text"] is { } text => new FilterAnswer([], text),
                var action => FilterAnswer.Failed($"its action is '{JsonText.Shorten(action ?? "missing")}', not allow, block, or replace with a text"),
            };
        }, cancellation);

    public void Dispose() => _http.Dispose();

    async Task<FilterAnswer> AskAsync(string who, Uri where, Func<CancellationToken, Task<FilterAnswer>> ask, CancellationToken cancellation)
    {
        using var deadline = new CancellationTokenSource(options.Timeout, time);
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellation);
        try
        {
            var answer = await ask(ending.Token);
            return answer.Problem is { } problem ? FilterAnswer.Failed($"{who} at {where} gave no answer that can be read: {problem}") : answer;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return FilterAnswer.Failed($"{who} at {where} has not answered within {options.Timeout.TotalSeconds:0.###} s");
        }
        catch (Exception wrong) when (wrong is HttpRequestException or JsonException or InvalidOperationException or FormatException)
        {
            return FilterAnswer.Failed($"{who} at {where} cannot be asked: {wrong.Message.ReplaceLineEndings(" ")}");
        }
    }

    static SocketsHttpHandler Handler()
    {
        var handler = HttpHandlers.ForUsersAddress();
        (handler.AllowAutoRedirect, handler.PooledConnectionLifetime) = (false, TimeSpan.FromMinutes(5));
        return handler;
    }

    /// <summary>As a header can have it.</summary>
    static string Plain(string category) =>
        string.Concat(category.Take(LongestCategory).Select(letter => letter is > ' ' and <= '~' and not ',' ? letter : '_'));

    async Task<string> FirstModelAsync(CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, AddressOf("models"));
        return (string?)(await SendAsync(request, cancellation))?["data"]?[0]?["id"] ?? throw new HttpRequestException("it serves no model");
    }

    Task<JsonNode?> PostAsync(Uri address, JsonObject body, CancellationToken cancellation)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = JsonContent.Create(body) };
        return SendAsync(request, cancellation);
    }

    async Task<JsonNode?> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        if (request.RequestUri!.Authority == options.Guard?.Authority && Environment.GetEnvironmentVariable(KeyVariable) is { Length: > 0 } key)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using var response = await _http.SendAsync(request, cancellation);
        if (!response.IsSuccessStatusCode) throw new HttpRequestException($"it answers with status {(int)response.StatusCode}");
        return await response.Content.ReadFromJsonAsync<JsonNode>(cancellation);
    }

    /// <summary>With or without /v1 in what the operator wrote.</summary>
    Uri AddressOf(string name)
    {
        var written = options.Guard!.AbsoluteUri.TrimEnd('/');
        return new Uri(written.EndsWith("/v1", StringComparison.Ordinal) ? $"{written}/{name}" : $"{written}/v1/{name}");
    }
}

/// <summary>A part of an answer, for an output filter.</summary>
/// <param name="Start">Characters of the answer before it.</param>
/// <param name="IsLast">The answer ends with it.</param>
sealed record FilteredWindow(string RequestId, string Model, int Choice, int Start, string Text, bool IsLast)
{
    public JsonObject ToJson() => new()
    {
        ["request_id"] = RequestId,
        ["model"] = Model,
        ["choice"] = Choice,
        ["start"] = Start,
        ["text"] = Text,
        ["last"] = IsLast,
    };
}

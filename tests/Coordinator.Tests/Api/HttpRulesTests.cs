using System.Net;
using System.Net.Http.Headers;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>What concerns the request as HTTP: addresses, methods, media types, sizes, headers.</summary>
public sealed class HttpRulesTests : IAsyncLifetime
{
    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData("GET", "/v1/chat/completions", "POST")]
    [InlineData("PUT", "/v1/completions", "POST")]
    [InlineData("DELETE", "/v1/models", "GET, HEAD")]
    [InlineData("POST", "/v1/models/demo", "GET, HEAD")]
    [InlineData("POST", "/health", "GET, HEAD")]
    [InlineData("GET", "/tokenize", "POST")]
    public async Task A_wrong_method_says_which_is_right(string method, string path, string allowed)
    {
        using var response = await _api.Http.SendAsync(new(new(method), path));
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Equal(allowed, string.Join(", ", response.Content.Headers.Allow));
        Assert.Contains("\"method_not_allowed\"", await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/v1")]
    [InlineData("/v1/embeddings")]
    [InlineData("/v1/chat/completions/x")]
    public async Task An_unknown_address_is_not_found(string path)
        => Assert.Equal("unknown_url", (await _api.GetAsync(path, 404)).GetProperty("error").GetProperty("code").GetString());

    [Theory]
    [InlineData("text/plain", null)]
    [InlineData("application/x-www-form-urlencoded", null)]
    [InlineData("application/json", "gzip")]
    public async Task Only_plain_JSON_is_taken(string mediaType, string? encoding)
    {
        var content = ApiHost.JsonContent(Requests.Completion());
        content.Headers.ContentType = new MediaTypeHeaderValue(mediaType);
        if (encoding is not null) content.Headers.ContentEncoding.Add(encoding);
        using var response = await _api.Http.PostAsync("/v1/completions", content);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/completions")]
    [InlineData("/tokenize")]
    [InlineData("/detokenize")]
    public async Task A_body_of_10_MB_is_too_large(string path)
    {
        var body = $$"""{"prompt":"{{new string('a', 10_000_000)}}"}""";
        var error = (await _api.PostAsync(path, body, 413)).GetProperty("error");
        Assert.Equal("request_too_large", error.GetProperty("code").GetString());
    }

    [Fact]
    public async Task A_body_that_does_not_tell_its_length_is_cut_at_the_limit()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = ApiHost.JsonContent($"{{\"prompt\":\"{new string('a', 10_000_000)}\"}}") };
        request.Headers.TransferEncodingChunked = true;
        using var response = await _api.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
    }

    [Fact]
    public async Task A_body_below_the_limit_is_read_whole()
    {
        var error = (await _api.PostAsync("/v1/completions", Requests.Completion($$"""{"prompt":"{{new string('a', 400_000)}}"}"""), 400)).GetProperty("error");
        Assert.Equal("context_length_exceeded", error.GetProperty("code").GetString());
    }

    [Fact]
    public async Task Every_answer_has_a_request_id_of_the_client_or_of_its_own()
    {
        using var own = await _api.Http.GetAsync("/health");
        Assert.StartsWith("req_", Assert.Single(own.Headers.GetValues("X-Request-Id")));
        using var request = new HttpRequestMessage(HttpMethod.Get, "/nowhere") { Headers = { { "X-Request-Id", "trace-7" } } };
        using var given = await _api.Http.SendAsync(request);
        Assert.Equal("trace-7", Assert.Single(given.Headers.GetValues("X-Request-Id")));
    }

    [Fact]
    public async Task A_session_is_refused_rather_than_forgotten()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = ApiHost.JsonContent(Requests.Completion()), Headers = { { "X-Session-Id", "s" } } };
        using var response = await _api.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("sessions are not supported yet", await response.Content.ReadAsStringAsync());
    }
}

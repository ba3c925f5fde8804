using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using LlamaCluster.Coordinator.Api.Choices;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

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

    [Theory]
    [InlineData(400)]
    [InlineData(404)]
    [InlineData(414)]
    [InlineData(503)]
    public async Task An_error_without_a_body_gets_one_in_OpenAIs_shape(int status)
    {
        await using var api = await ApiHost.StartAsync(more: app => app.Map("/bare", http =>
        {
            http.Response.StatusCode = status;
            return Task.CompletedTask;
        }));
        var error = (await api.GetAsync("/bare", status)).GetProperty("error");
        Assert.Equal(status < 500 ? "invalid_request_error" : "server_error", error.GetProperty("type").GetString());
    }

    [Fact]
    public async Task A_proxy_on_this_machine_says_whose_request_it_passes_on()
    {
        async Task<string> ClientOfAsync(string? forwarded)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = ApiHost.JsonContent(Requests.Completion()) };
            if (forwarded is not null) request.Headers.Add("X-Forwarded-For", forwarded);
            using var response = await _api.Http.SendAsync(request);
            return _api.Engine.Requests[^1].Client;
        }
        string[] clients = [await ClientOfAsync(null), await ClientOfAsync("10.0.0.7"), await ClientOfAsync("10.0.0.8")];
        Assert.Equal(3, clients.Distinct().Count());
        Assert.Equal(clients[1], await ClientOfAsync("10.0.0.8, 10.0.0.7")); // the last address is the one that the proxy itself saw
    }

    [Fact]
    public void A_request_is_known_by_its_id_and_its_trace()
    {
        using var activity = new Activity("request").SetIdFormat(ActivityIdFormat.W3C).Start();
        var origin = RequestOrigin.Of(new DefaultHttpContext { TraceIdentifier = "trace-7" }, user: null);
        Assert.Equal(("trace-7", activity.Id), (origin.RequestId, origin.TraceParent));
        Assert.StartsWith("00-", origin.TraceParent);
    }
}

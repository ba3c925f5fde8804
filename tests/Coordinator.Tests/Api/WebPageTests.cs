using System.Net;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>Which web pages may call the API, and by which names of this machine.</summary>
public sealed class WebPageTests : IAsyncLifetime
{
    ApiHost _api = null!;

    public async Task InitializeAsync()
        => _api = await ApiHost.StartAsync(options: new() { CorsOrigins = ["https://chat.example.com/", "http://intranet:3000"] });

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData("http://localhost:3000")]
    [InlineData("https://localhost")]
    [InlineData("http://127.0.0.1:5173")]
    [InlineData("http://[::1]:8080")]
    [InlineData("http://tauri.localhost")]
    [InlineData("app://obsidian.md")]
    [InlineData("file://")]
    [InlineData("tauri://localhost")]
    [InlineData("vscode-webview://1a2b")]
    [InlineData("https://chat.example.com")]
    [InlineData("http://intranet:3000")]
    public async Task Pages_of_this_machine_and_those_that_were_named_are_let_in(string origin)
    {
        using var preflight = await PreflightAsync(_api, origin);
        Assert.Equal(HttpStatusCode.NoContent, preflight.StatusCode);
        Assert.Equal(origin, Assert.Single(preflight.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.Equal("authorization,content-type,x-stainless-lang", Assert.Single(preflight.Headers.GetValues("Access-Control-Allow-Headers")));
        using var answer = await AskAsync(_api, origin);
        Assert.Equal(origin, Assert.Single(answer.Headers.GetValues("Access-Control-Allow-Origin")));
        Assert.Contains("X-LlamaCluster-Ignored", string.Join(',', answer.Headers.GetValues("Access-Control-Expose-Headers")));
        using var error = await AskAsync(_api, origin, "/nowhere");
        Assert.Equal(origin, Assert.Single(error.Headers.GetValues("Access-Control-Allow-Origin")));
    }

    [Theory]
    [InlineData("https://evil.example")]
    [InlineData("http://localhost.evil.example")]
    [InlineData("http://127.0.0.1.evil.example")]
    [InlineData("http://localhost@evil.example")]
    [InlineData("https://chat.example.com:444")]
    [InlineData("http://chat.example.com")]
    [InlineData("ftp://localhost")]
    [InlineData("null")]
    [InlineData("nonsense")]
    public async Task Others_are_not(string origin)
    {
        using var preflight = await PreflightAsync(_api, origin);
        Assert.False(preflight.Headers.Contains("Access-Control-Allow-Origin"));
        using var answer = await AskAsync(_api, origin);
        Assert.False(answer.Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Fact]
    public async Task All_are_if_the_operator_says_so()
    {
        await using var api = await ApiHost.StartAsync(options: new() { CorsOrigins = ["*"] });
        foreach (var origin in new[] { "https://evil.example", "null" })
        {
            using var answer = await AskAsync(api, origin);
            Assert.Equal(origin, Assert.Single(answer.Headers.GetValues("Access-Control-Allow-Origin")));
        }
        Assert.Equal(HttpStatusCode.OK, (await HostAsync(api, "evil.example")).StatusCode);
    }

    [Fact]
    public async Task An_error_that_comes_before_the_pages_turn_can_be_read_too()
    {
        _api.Engine.Script = _ => throw new InvalidOperationException("bug");
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions") { Content = ApiHost.JsonContent(Requests.Completion()) };
        request.Headers.Add("Origin", "http://localhost:3000");
        using var response = await _api.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.True(response.Headers.Contains("Access-Control-Allow-Origin"));
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("localhost:8080")]
    [InlineData("LOCALHOST")]
    [InlineData("api.localhost")]
    [InlineData("127.0.0.1:1234")]
    [InlineData("[::1]:8080")]
    [InlineData("192.168.1.7")]
    [InlineData("host.docker.internal:8080")]
    [InlineData("chat.example.com")]
    public async Task This_machine_goes_by_its_own_names(string host) => Assert.Equal(HttpStatusCode.OK, (await HostAsync(_api, host)).StatusCode);

    [Theory]
    [InlineData("evil.example")]
    [InlineData("evil.example:8080")]
    [InlineData("localhost.evil.example")]
    [InlineData("127.0.0.1.evil.example")]
    public async Task A_name_that_somebody_else_had_looked_up_as_this_machine_is_refused(string host)
    {
        using var response = await HostAsync(_api, host);
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        var body = await response.Content.ReadAsStringAsync();
        Assert.Contains("forbidden_host", body);
        Assert.Contains($"names '{host.Split(':')[0]}'", body);
    }

    static Task<HttpResponseMessage> PreflightAsync(ApiHost api, string origin)
    {
        var request = new HttpRequestMessage(HttpMethod.Options, "/v1/chat/completions");
        request.Headers.Add("Origin", origin);
        request.Headers.Add("Access-Control-Request-Method", "POST");
        request.Headers.Add("Access-Control-Request-Headers", "authorization,content-type,x-stainless-lang");
        return api.Http.SendAsync(request);
    }

    static Task<HttpResponseMessage> AskAsync(ApiHost api, string origin, string path = "/v1/models")
        => api.Http.SendAsync(new HttpRequestMessage(HttpMethod.Get, path) { Headers = { { "Origin", origin } } });

    static Task<HttpResponseMessage> HostAsync(ApiHost api, string host)
        => api.Http.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/health") { Headers = { Host = host } });
}

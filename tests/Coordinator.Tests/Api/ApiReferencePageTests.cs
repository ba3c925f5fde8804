using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using LlamaCluster.Coordinator.Tests.Api.Keys;
using LlamaCluster.Testing.Npm;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>The page that shows the API, which is there only where it is asked for.</summary>
public sealed partial class ApiReferencePageTests
{
    static readonly ApiOptions WithPage = new() { ReferencePage = true };

    [Fact]
    public async Task There_is_none_unless_it_is_asked_for()
    {
        await using var api = await ApiHost.StartAsync();
        await api.GetAsync("/docs", 404);
        await api.GetAsync("/docs/scalar.js", 404);
    }

    [Fact]
    public async Task It_comes_whole_from_here_and_may_go_nowhere_else()
    {
        await using var api = await ApiHost.StartAsync(options: WithPage);
        using var page = await api.Http.GetAsync("/docs");
        Assert.Equal((HttpStatusCode.OK, "text/html"), (page.StatusCode, page.Content.Headers.ContentType?.MediaType));
        var html = await page.Content.ReadAsStringAsync();
        Assert.Contains("openapi.json", html);
        Assert.DoesNotMatch("https?://", html);
        var parts = Parts().Matches(html).Select(match => match.Groups[1].Value).ToList();
        Assert.NotEmpty(parts);
        foreach (var part in parts)
        {
            using var loaded = await api.Http.GetAsync(new Uri(page.RequestMessage!.RequestUri!, part));
            Assert.True(loaded.IsSuccessStatusCode, $"{part}: {loaded.StatusCode}");
            Assert.Equal("nosniff", loaded.Headers.GetValues("X-Content-Type-Options").Single());
        }
    }

    [Fact]
    public async Task No_script_runs_in_it_but_its_own()
    {
        await using var api = await ApiHost.StartAsync(options: WithPage);
        var numbers = new HashSet<string>();
        for (var i = 0; i < 2; i++)
        {
            using var page = await api.Http.GetAsync("/docs");
            var policy = page.Headers.GetValues("Content-Security-Policy").Single().Split("; ");
            Assert.Equal("default-src 'none'", policy[0]);
            Assert.Contains("connect-src 'self'", policy);
            Assert.Contains("frame-ancestors 'none'", policy);
            var number = Assert.Single(policy, part => part.StartsWith("script-src 'self' 'nonce-", StringComparison.Ordinal))
                .Split("'nonce-")[1].TrimEnd('\'');
            Assert.Contains($"nonce=\"{number}\"", await page.Content.ReadAsStringAsync());
            numbers.Add(number);
        }
        Assert.Equal(2, numbers.Count);
    }

    [Fact]
    public async Task Where_keys_are_asked_for_it_and_the_description_are_for_everybody_and_nothing_else_is()
    {
        using var keys = new KeyFile(("alice", "inference"));
        await using var api = await ApiHost.StartAsync(options: WithPage with { KeysFile = keys.Path });
        using var page = await api.Http.GetAsync("/docs");
        Assert.Equal(HttpStatusCode.OK, page.StatusCode);
        var described = JsonDocument.Parse(await api.Http.GetStringAsync("/openapi.json")).RootElement;
        Assert.Equal("bearer", described.GetProperty("components").GetProperty("securitySchemes").GetProperty("key").GetProperty("scheme").GetString());
        Assert.Equal("key", described.GetProperty("security")[0].EnumerateObject().Single().Name);
        await api.GetAsync("/v1/models", 401);
    }

    [Fact]
    public async Task Without_it_the_description_takes_a_key_where_keys_are_asked_for()
    {
        using var keys = new KeyFile(("alice", "inference"));
        await using var api = await ApiHost.StartAsync(options: new ApiOptions { KeysFile = keys.Path });
        await api.GetAsync("/openapi.json", 401);
        await api.GetAsync("/docs", 401);
    }

    [BrowserFact]
    public async Task A_browser_shows_it_and_asks_nobody_else()
    {
        await using var api = await ApiHost.StartAsync(options: WithPage);
        var seen = await NodeScript.RunAsync("api-docs.mjs", $"{api.Http.BaseAddress}docs");
        Assert.Empty(seen.GetProperty("errors").EnumerateArray().Select(error => error.GetString()));
        Assert.Empty(seen.GetProperty("foreign").EnumerateArray().Select(address => address.GetString()));
        Assert.Equal("LlamaCluster", seen.GetProperty("title").GetString());
        Assert.Contains("/v1/chat/completions", seen.GetProperty("text").GetString());
    }

    [GeneratedRegex("(?:src|href)=\"([^\"]+)\"")]
    private static partial Regex Parts();
}

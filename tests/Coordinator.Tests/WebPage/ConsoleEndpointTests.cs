using System.Net;
using System.Text.RegularExpressions;
using LlamaCluster.Coordinator.Tests.Api;

namespace LlamaCluster.Coordinator.Tests.WebPage;

/// <summary>Who gets the console, and what browsers are told of it.</summary>
public sealed partial class ConsoleEndpointTests : IAsyncLifetime
{
    const string Browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData(Browser, "text/html")]
    [InlineData("*/*", "text/plain")]
    [InlineData("application/json", "text/plain")]
    [InlineData(null, "text/plain")]
    public async Task Browsers_get_the_page_and_others_a_line(string? accept, string expected)
    {
        using var answer = await GetAsync("/", accept);
        Assert.Equal(expected, answer.Content.Headers.ContentType?.MediaType);
        Assert.Contains("Accept", answer.Headers.Vary);
        Assert.Contains("LlamaCluster", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Nothing_comes_from_elsewhere_and_nothing_goes_there()
    {
        using var page = await GetAsync("/", Browser);
        var policy = Assert.Single(page.Headers.GetValues("Content-Security-Policy"));
        Assert.Contains("default-src 'none'", policy);
        Assert.DoesNotContain("unsafe", policy);
        foreach (var path in await PathsAsync())
        {
            using var file = await GetAsync(path);
            Assert.True(file.IsSuccessStatusCode, path);
            Assert.Equal("nosniff", Assert.Single(file.Headers.GetValues("X-Content-Type-Options")));
            Assert.Empty(ForeignAddress().Matches(await file.Content.ReadAsStringAsync()).Select(match => $"{path}: {match.Value}"));
        }
    }

    [Fact]
    public async Task A_file_that_has_not_changed_is_not_sent_again()
    {
        using var first = await GetAsync("/console/app.js");
        Assert.Equal("text/javascript", first.Content.Headers.ContentType?.MediaType);
        var again = new HttpRequestMessage(HttpMethod.Get, "/console/app.js") { Headers = { { "If-None-Match", first.Headers.ETag!.ToString() } } };
        using var second = await _api.Http.SendAsync(again);
        Assert.Equal((HttpStatusCode.NotModified, ""), (second.StatusCode, await second.Content.ReadAsStringAsync()));
    }

    [Theory]
    [InlineData("/console/nothing.js")]
    [InlineData("/console/..%2f..%2fCoordinator.csproj")]
    [InlineData("/console/")]
    public async Task Other_files_are_not_there(string path)
    {
        using var answer = await GetAsync(path);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    /// <summary>All files that the page loads, by the names in it and in what it loads.</summary>
    async Task<IReadOnlyCollection<string>> PathsAsync()
    {
        using var page = await GetAsync("/", Browser);
        Queue<string> open = new(Loaded().Matches(await page.Content.ReadAsStringAsync()).Select(match => match.Groups["path"].Value));
        HashSet<string> known = [];
        while (open.TryDequeue(out var path))
        {
            if (!known.Add(path) || !path.EndsWith(".js", StringComparison.Ordinal)) continue;
            foreach (Match import in Imported().Matches(await _api.Http.GetStringAsync(path))) open.Enqueue($"/console/{import.Groups["name"].Value}");
        }
        Assert.True(known.Count > 8, string.Join(' ', known));
        return known;
    }

    Task<HttpResponseMessage> GetAsync(string path, string? accept = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (accept is not null) request.Headers.TryAddWithoutValidation("Accept", accept);
        return _api.Http.SendAsync(request);
    }

    [GeneratedRegex("(src|href)=\"(?<path>/console/[^\"]+)\"")]
    private static partial Regex Loaded();

    [GeneratedRegex("from \"\\./(?<name>[^\"]+)\"")]
    private static partial Regex Imported();

    /// <summary>Addresses that are loaded or called; names of XML's spaces are no addresses.</summary>
    [GeneratedRegex(@"(?<!xmlns="")(?<!SVG = "")https?://(?!\$)[a-z][\w.]+")]
    private static partial Regex ForeignAddress();
}

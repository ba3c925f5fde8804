using System.Net;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Coordinator.Tests.Api.Keys;

/// <summary>Keys that may use so much and no more.</summary>
public sealed class KeyLimitTests : IAsyncLifetime
{
    const string Chat = "/v1/chat/completions";

    readonly TempFolder _folder = new();
    readonly ManualTimeProvider _time = new();
    readonly string _key = ApiKey.NewText();
    readonly string _other = ApiKey.NewText();
    ApiHost _api = null!;

    string KeyPath => _folder.File("keys");

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_api is not null) await _api.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task One_request_too_many_is_told_when_to_come_again_in_OpenAIs_words_and_headers()
    {
        await StartAsync(new KeyLimits(RequestsPerMinute: 2, TokensPerMinute: 1000));
        using var first = await SendAsync(Chat, Requests.Chat(), _key);
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        Assert.Equal(
            ("2", "1", "30s"),
            (One(first, "x-ratelimit-limit-requests"), One(first, "x-ratelimit-remaining-requests"), One(first, "x-ratelimit-reset-requests")));
        Assert.Equal(
            ("1000", "1000", "0s"),
            (One(first, "x-ratelimit-limit-tokens"), One(first, "x-ratelimit-remaining-tokens"), One(first, "x-ratelimit-reset-tokens")));
        (await SendAsync(Chat, Requests.Chat(), _key)).Dispose();

        using var refused = await SendAsync(Chat, Requests.Chat(), _key);

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal("30", One(refused, "Retry-After"));
        var error = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement.GetProperty("error");
        Assert.Equal(
            "Rate limit reached for the key of 'alice': it has sent its 2 requests per minute. Try again in 30s.",
            error.GetProperty("message").GetString());
        Assert.Equal(("requests", "rate_limit_exceeded"), (error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
        Assert.Equal(2, _api.Engine.Requests.Count);
        using var others = await SendAsync(Chat, Requests.Chat(), _other);
        Assert.Equal(HttpStatusCode.OK, others.StatusCode);
        _time.Advance(TimeSpan.FromSeconds(30));
        using var later = await SendAsync(Chat, Requests.Chat(), _key);
        Assert.Equal(HttpStatusCode.OK, later.StatusCode);
    }

    [Theory]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"Hi"}]}""")]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"Hi"}],"stream":true}""")]
    [InlineData("/v1/messages", """{"max_tokens":99,"messages":[{"role":"user","content":"Hi"}]}""")]
    [InlineData("/api/chat", """{"model":"demo","messages":[{"role":"user","content":"Hi"}]}""")]
    [InlineData("/v1/responses", """{"input":"Hi"}""")]
    [InlineData("/generate", """{"inputs":"Hi"}""")]
    public async Task Tokens_of_prompt_and_answer_count(string path, string body)
    {
        await StartAsync(new KeyLimits(TokensPerMinute: 5));
        _api.Engine.Play(Answers.Of("A worker holds a shard."));
        using (var first = await SendAsync(path, body, _key))
        {
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
            await first.Content.ReadAsStringAsync();
        }

        using var refused = await SendAsync(path, body, _key);

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        var used = _api.Engine.Requests.Single().Prompt.Count + Answers.IdsOf("A worker holds a shard.").Count;
        var wait = int.Parse(One(refused, "Retry-After"));
        Assert.Equal((int)Math.Ceiling((used - 4) * 60 / 5.0), wait);
        using var look = await SendAsync("/v1/models", null, _key);
        Assert.Equal(HttpStatusCode.OK, look.StatusCode);
    }

    [Fact]
    public async Task The_next_request_waits_for_one_to_end_and_one_that_is_left_has_ended()
    {
        await StartAsync(new KeyLimits(Concurrent: 1));
        _api.Engine.Script = _ => EndlessStream.After([Answers.Token(Answers.IdsOf("a")[0])]);
        using (await OpenAsync())
        {
            using var second = await SendAsync(Chat, Requests.Chat(), _key);
            Assert.Equal(HttpStatusCode.TooManyRequests, second.StatusCode);
            Assert.Equal("1", One(second, "Retry-After"));
        }
        await _api.Engine.Cancelled.Task.WaitAsync(ApiHost.Deadline);
        _api.Engine.Play(Answers.Of("ok"));
        using var deadline = new CancellationTokenSource(ApiHost.Deadline);
        while (true)
        {
            using var third = await SendAsync(Chat, Requests.Chat(), _key);
            if (third.StatusCode == HttpStatusCode.OK) return;
            deadline.Token.ThrowIfCancellationRequested();   // the server hears of the end of a connection when it hears of it
        }
    }

    [Fact]
    public async Task A_priority_that_is_too_early_is_raised_and_the_answer_says_so()
    {
        await StartAsync(new KeyLimits(PriorityFloor: 5));
        using var raised = await SendAsync(Chat, Requests.Chat("""{"priority":-3}"""), _key);
        Assert.Equal("priority=5", One(raised, "X-LlamaCluster-Adjusted"));
        using var kept = await SendAsync(Chat, Requests.Chat("""{"priority":9}"""), _key);
        Assert.False(kept.Headers.Contains("X-LlamaCluster-Adjusted"));
        Assert.Equal([5, 9], _api.Engine.Requests.Select(request => request.Priority));
    }

    [Fact]
    public async Task Several_keys_of_one_name_share_what_they_may_use()
    {
        await StartAsync(new KeyLimits(RequestsPerMinute: 1), otherName: "alice");
        using var first = await SendAsync(Chat, Requests.Chat(), _key);
        using var second = await SendAsync(Chat, Requests.Chat(), _other);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.TooManyRequests), (first.StatusCode, second.StatusCode));
    }

    [Theory]
    [InlineData("requests-per-minute=0", "line 1 of alice has requests-per-minute=0; it must be a whole number from 1 to 2147483647")]
    [InlineData("concurrent=2 concurrent=3", "line 1 of alice has concurrent twice")]
    [InlineData("priority-floor=x", "line 1 of alice has priority-floor=x; it must be a whole number from -2147483648 to 2147483647")]
    [InlineData("llc-secret", "line 1 of alice has something behind the hash that is none of its limits; there are requests-per-minute, tokens-per-minute")]
    [InlineData("llc=secret", "line 1 of alice has something behind the hash that is none of its limits")]
    public void What_is_no_limit_is_named_and_no_secret_is_shown(string text, string problem)
    {
        File.WriteAllText(KeyPath, $"{ApiKeyFile.LineOf("alice", "inference", _key)} {text}");
        var error = Assert.Throws<IOException>(() => new ApiKeys(KeyPath, _time, NullLogger<ApiKeys>.Instance));
        Assert.StartsWith($"--api-keys-file: cannot use {KeyPath}: {problem}", error.Message);
        Assert.DoesNotContain("secret", error.Message);
    }

    [Fact]
    public void A_line_says_its_limits_and_is_read_as_it_was_written()
    {
        var limits = new KeyLimits(60, 100_000, 8, -5);
        var line = ApiKeyFile.LineOf("alice", "inference", _key, limits);
        Assert.EndsWith(" requests-per-minute=60 tokens-per-minute=100000 concurrent=8 priority-floor=-5", line);
        File.WriteAllText(KeyPath, line);
        Assert.Equal(limits, new ApiKeys(KeyPath, _time, NullLogger<ApiKeys>.Instance).Find(_key)!.Limits);
    }

    async Task StartAsync(KeyLimits limits, string otherName = "bob")
    {
        File.WriteAllLines(KeyPath,
        [
            ApiKeyFile.LineOf("alice", "inference", _key, limits),
            ApiKeyFile.LineOf(otherName, "inference", _other, otherName == "alice" ? limits : null),
        ]);
        _api = await ApiHost.StartAsync(options: new ApiOptions { KeysFile = KeyPath }, time: _time);
    }

    async Task<HttpResponseMessage> OpenAsync()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Chat) { Content = ApiHost.JsonContent(Requests.Chat("""{"stream":true}""")) };
        request.Headers.Authorization = new("Bearer", _key);
        var answer = await _api.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return answer;
    }

    async Task<HttpResponseMessage> SendAsync(string path, string? body, string key)
    {
        using var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Post, path)
        {
            Content = body is null ? null : ApiHost.JsonContent(body),
        };
        request.Headers.Authorization = new("Bearer", key);
        return await _api.Http.SendAsync(request);
    }

    static string One(HttpResponseMessage answer, string header) => Assert.Single(answer.Headers.GetValues(header));
}

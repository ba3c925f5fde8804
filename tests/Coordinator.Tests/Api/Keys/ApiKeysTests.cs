using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Api.Keys;
using LlamaCluster.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Coordinator.Tests.Api.Keys;

/// <summary>Callers that must show a key: who they are, and what they may do.</summary>
public sealed class ApiKeysTests : IAsyncLifetime
{
    const string Chat = "/v1/chat/completions";

    readonly KeyFile _keys = new(("alice", "inference"), ("bob", "inference"), ("grafana", "metrics"), ("root", "admin"));
    readonly ManualTimeProvider _time = new();
    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync(options: new ApiOptions { KeysFile = _keys.Path });

    public async Task DisposeAsync()
    {
        await _api.DisposeAsync();
        _keys.Dispose();
    }

    [Theory]
    [InlineData("Authorization", "Bearer ")]
    [InlineData("authorization", "bearer ")]
    [InlineData("X-Api-Key", "")]
    public async Task A_key_is_shown_as_clients_of_OpenAI_or_Anthropic_do(string header, string before)
    {
        using var answer = await SendAsync(Chat, Requests.Chat(), (header, before + _keys["alice"]));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Without_a_key_or_with_another_nothing_is_done()
    {
        var asked = _api.Engine.Requests.Count;
        foreach (var headers in new (string, string)[][]
        {
            [],
            [("Authorization", "Bearer " + ApiKey.NewText())],
            [("Authorization", "Bearer " + _keys["alice"][..^1])],
            [("Authorization", "Bearer " + _keys["alice"] + "x")],
            [("Authorization", "Basic " + _keys["alice"])],
            [("Authorization", _keys["alice"])],
            [("Authorization", "Bearer ")],
            [("X-Api-Key", new string('x', 10_000))],
            [("X-Api-Key", "sha256:" + Convert.ToHexStringLower(ApiKey.HashOf(_keys["alice"])))],
            [("Authorization", "Bearer " + ApiKey.NewText()), ("X-Api-Key", _keys["alice"])],
        })
        {
            using var answer = await SendAsync(Chat, Requests.Chat(), headers);
            Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
            Assert.Equal("Bearer", answer.Headers.WwwAuthenticate.Single().Scheme);
        }
        Assert.Equal(asked, _api.Engine.Requests.Count);
    }

    [Fact]
    public async Task Each_API_is_told_in_its_own_words()
    {
        Assert.Equal("missing_api_key", (await ErrorAsync(Chat)).GetProperty("error").GetProperty("code").GetString());
        Assert.Equal("authentication_error", (await ErrorAsync("/v1/messages")).GetProperty("error").GetProperty("type").GetString());
        Assert.StartsWith("You didn't provide an API key", (await ErrorAsync("/api/chat")).GetProperty("error").GetString());
    }

    [Fact]
    public async Task A_key_that_is_for_something_else_is_refused_by_name()
    {
        using var answer = await SendAsync(Chat, Requests.Chat(), ("X-Api-Key", _keys["grafana"]));
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        var error = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement.GetProperty("error");
        Assert.Equal("The key of 'grafana' is not good for this: it takes one with the scope inference.", error.GetProperty("message").GetString());
    }

    [Fact]
    public async Task Strangers_are_told_whether_the_model_is_ready_and_no_more()
    {
        Assert.Equal(["ready"], (await _api.GetAsync("/ready", 200)).EnumerateObject().Select(field => field.Name));
        Assert.Equal("alive", (await _api.GetAsync("/health", 200)).GetProperty("status").GetString());
    }

    [Fact]
    public async Task Callers_share_no_KV_and_a_caller_of_two_keys_is_one_client()
    {
        _keys.Write(("alice", "inference"), ("bob", "inference"));
        foreach (var name in new[] { "alice", "bob", "alice" })
            (await SendAsync(Chat, Requests.Chat("""{"cache_salt":"s"}"""), ("X-Api-Key", _keys[name]))).Dispose();
        var sent = _api.Engine.Requests.ToList();
        Assert.Equal(sent[0].CacheSalt, sent[2].CacheSalt);
        Assert.NotEqual(sent[0].CacheSalt, sent[1].CacheSalt);
        Assert.EndsWith("s", sent[0].CacheSalt);
        Assert.Equal(sent[0].Client, sent[2].Client);
        Assert.NotEqual(sent[0].Client, sent[1].Client);
    }

    [Fact]
    public async Task Sessions_and_responses_are_for_the_key_that_made_them_and_for_administrators()
    {
        var session = await MadeAsync("/v1/sessions", "{}");
        var response = await MadeAsync("/v1/responses", """{"input":"Hi"}""");
        foreach (var path in new[] { $"/v1/sessions/{session}", $"/v1/sessions/{session}/export", $"/v1/responses/{response}" })
        {
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(HttpMethod.Get, path, "alice"));
            Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(HttpMethod.Get, path, "bob"));
        }
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(HttpMethod.Delete, $"/v1/sessions/{session}", "bob"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(HttpMethod.Delete, $"/v1/responses/{response}", "bob"));
        using var turn = await SendAsync(Chat, Requests.Chat($$"""{"session_id":"{{session}}"}"""), ("X-Api-Key", _keys["bob"]));
        Assert.Equal(HttpStatusCode.NotFound, turn.StatusCode);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(HttpMethod.Get, $"/v1/sessions/{session}", "root"));
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync(HttpMethod.Get, "/v1/sessions", "alice"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(HttpMethod.Get, "/v1/sessions", "root"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(HttpMethod.Delete, $"/v1/sessions/{session}", "alice"));
    }

    [Fact]
    public void The_file_is_read_again_when_it_changes_and_one_that_cannot_be_used_changes_nothing()
    {
        var keys = new ApiKeys(_keys.Path, _time, NullLogger<ApiKeys>.Instance);
        _keys.Write(("alice", "metrics"), ("carol", "inference"));
        Assert.Null(keys.Find(_keys["carol"]));   // it was looked at just now
        _time.Advance(WatchedFiles.LooksEvery);
        Assert.Equal(new ApiCaller("carol", ApiScopes.Inference), keys.Find(_keys["carol"]));
        Assert.Equal(ApiScopes.Metrics, keys.Find(_keys["alice"])!.Scopes);
        Assert.Null(keys.Find(_keys["bob"]));
        foreach (var text in new[] { "", "carol inference", $"carol inference {_keys["carol"]}" })
        {
            File.WriteAllText(_keys.Path, text);
            _time.Advance(WatchedFiles.LooksEvery);
            Assert.NotNull(keys.Find(_keys["carol"]));
        }
        File.Delete(_keys.Path);
        _time.Advance(WatchedFiles.LooksEvery);
        Assert.NotNull(keys.Find(_keys["carol"]));
    }

    [Theory]
    [InlineData("", "there is no key in it; make one with `llamacluster keys add`")]
    [InlineData("# one\na inference", "line 2 is not of the form NAME SCOPES sha256:HASH")]
    [InlineData("a everything sha256:00", "line 1 has the scopes 'everything'; there are inference, metrics, admin")]
    [InlineData("a/b inference sha256:00", "line 1 has the name 'a/b'; it must have 1 to 64 letters")]
    [InlineData("a inference llc-secret", "line 1 of a must end with sha256: and the SHA-256 of the key in hex")]
    [InlineData("a inference sha256:zz", "line 1 of a must end with sha256:")]
    public void What_is_no_file_of_keys_is_one_line_and_shows_no_secret(string text, string problem)
    {
        File.WriteAllText(_keys.Path, text);
        var error = Assert.Throws<IOException>(() => new ApiKeys(_keys.Path, _time, NullLogger<ApiKeys>.Instance));
        Assert.StartsWith($"--api-keys-file: cannot use {_keys.Path}: {problem}", error.Message);
        Assert.DoesNotContain("secret", error.Message);
    }

    async Task<string> MadeAsync(string path, string body)
    {
        using var answer = await SendAsync(path, body, ("X-Api-Key", _keys["alice"]));
        return JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement.GetProperty("id").GetString()!;
    }

    async Task<HttpStatusCode> StatusAsync(HttpMethod method, string path, string name)
    {
        using var request = new HttpRequestMessage(method, path) { Headers = { Authorization = new AuthenticationHeaderValue("Bearer", _keys[name]) } };
        using var answer = await _api.Http.SendAsync(request);
        return answer.StatusCode;
    }

    async Task<JsonElement> ErrorAsync(string path)
    {
        using var answer = await SendAsync(path, "{}");
        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        return JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;
    }

    async Task<HttpResponseMessage> SendAsync(string path, string body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = ApiHost.JsonContent(body) };
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return await _api.Http.SendAsync(request);
    }
}

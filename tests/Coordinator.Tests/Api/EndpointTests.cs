using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using LlamaCluster.Coordinator.Api.Choices;
using LlamaCluster.Coordinator.Api.Requests;
using LlamaCluster.Coordinator.Generation;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>Requests as HTTP (addresses, methods, media types, sizes, headers), and the endpoints that complete nothing.</summary>
public sealed class EndpointTests : IAsyncLifetime
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
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = ApiHost.JsonContent($"{{\"prompt\":\"{new string('a', 10_000_000)}\"}}"),
        };
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
    public async Task Headers_that_nobody_knows_are_ignored()
    {
        foreach (var (method, path) in new[] { (HttpMethod.Get, "/health"), (HttpMethod.Post, "/v1/completions") })
        {
            using var request = new HttpRequestMessage(method, path);
            foreach (var name in new[] { "X-Session-Id", "X-Session-Affinity", "OpenAI-Organization" }) request.Headers.Add(name, "a");
            if (method == HttpMethod.Post) request.Content = ApiHost.JsonContent(Requests.Completion());
            using var response = await _api.Http.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
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
        var origin = RequestOrigin.Of(new DefaultHttpContext { TraceIdentifier = "trace-7" }, new GenerationSettings { Sampling = new() });
        Assert.Equal(("trace-7", activity.Id), (origin.RequestId, origin.TraceParent));
        Assert.StartsWith("00-", origin.TraceParent);
    }

    [Fact]
    public void A_trace_of_another_format_is_left_out()
    {
        using var activity = new Activity("request").SetIdFormat(ActivityIdFormat.Hierarchical).SetParentId($"|{new string('a', 900)}.").Start();
        Assert.Null(RequestOrigin.Of(new DefaultHttpContext { TraceIdentifier = "trace-7" }, new GenerationSettings { Sampling = new() }).TraceParent);
    }

    [Fact]
    public async Task The_served_model_is_listed_and_found()
    {
        const string model = """{"id":"demo","object":"model","created":1767323045,"owned_by":"llamacluster","max_model_len":512}""";
        Assert.Equal($$"""{"object":"list","data":[{{model}}]}""", (await _api.GetAsync("/v1/models", 200)).GetRawText());
        Assert.Equal(model, (await _api.GetAsync("/v1/models/demo", 200)).GetRawText());
        Assert.Equal("model_not_found", (await _api.GetAsync("/v1/models/other", 404)).GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task A_models_name_may_have_slashes()
    {
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Name = "meta/llama" });
        Assert.Equal("meta/llama", (await api.GetAsync("/v1/models/meta/llama", 200)).GetProperty("id").GetString());
        Assert.Equal("meta/llama", (await api.GetAsync("/v1/models/meta%2Fllama", 200)).GetProperty("id").GetString());
    }

    [Theory]
    [InlineData("Hello, wörld 🙂!")]
    [InlineData("a <|eot_id|> b")]
    [InlineData("")]
    public async Task Text_comes_back_from_its_ids(string text)
    {
        var body = $$"""{"model":"demo","prompt":{{JsonSerializer.Serialize(text)}},"add_special_tokens":false}""";
        var tokenized = await _api.PostAsync("/tokenize", body, 200);
        Assert.Equal(tokenized.GetProperty("tokens").GetArrayLength(), tokenized.GetProperty("count").GetInt32());
        Assert.Equal(512, tokenized.GetProperty("max_model_len").GetInt32());
        var detokenized = await _api.PostAsync("/detokenize", $$"""{"tokens":{{tokenized.GetProperty("tokens").GetRawText()}}}""", 200);
        Assert.Equal(text, detokenized.GetProperty("prompt").GetString());
    }

    [Fact]
    public async Task Ids_of_messages_are_those_of_the_completion()
    {
        var tokens = (await _api.PostAsync("/tokenize", Requests.Chat(), 200)).GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32());
        await _api.PostAsync("/v1/chat/completions", Requests.Chat(), 200);
        Assert.Equal(Assert.Single(_api.Engine.Requests).Prompt, tokens);
    }

    [Fact]
    public async Task Bos_is_added_to_a_text_unless_told_otherwise()
        => Assert.Equal(DemoModel.Text.Tokenizer.BosId, (await _api.PostAsync("/tokenize", """{"prompt":"a"}""", 200)).GetProperty("tokens")[0].GetInt32());

    [Theory]
    [InlineData("/tokenize", "{}", "prompt")]
    [InlineData("/tokenize", """{"prompt":5}""", "prompt")]
    [InlineData("/tokenize", """{"prompt":"a","messages":[{"role":"user","content":"a"}]}""", "prompt")]
    [InlineData("/tokenize", """{"messages":[]}""", "messages")]
    [InlineData("/tokenize", """{"messages":[{"role":"user","content":"a"}],"tools":[{}]}""", "tools[0].function")]
    [InlineData("/tokenize", """{"prompt":"a","return_token_strs":true}""", "return_token_strs")]
    [InlineData("/detokenize", "{}", "tokens")]
    [InlineData("/detokenize", """{"tokens":"a"}""", "tokens")]
    [InlineData("/detokenize", """{"tokens":[-1]}""", "tokens")]
    public async Task Wrong_fields_are_refused_by_name(string path, string body, string param)
        => Assert.Equal(param, (await _api.PostAsync(path, body, 400)).GetProperty("error").GetProperty("param").GetString());

    [Fact]
    public async Task Alive_and_ready_are_two_things()
    {
        Assert.Equal("""{"ready":true}""", (await _api.GetAsync("/ready", 200)).GetRawText());
        _api.Engine.Status = new EngineStatus(false, "waiting for 1 of 2 workers", 0);
        Assert.Equal("""{"ready":false,"reason":"waiting for 1 of 2 workers"}""", (await _api.GetAsync("/ready", 503)).GetRawText());
        _api.Engine.Status = new EngineStatus(false, "a worker was lost", 4) { IsRecovering = true, Workers = new WorkerCounts(4, 3, 0, 1, 2) };
        Assert.Equal(
            """{"ready":false,"reason":"a worker was lost","recovering":true,"workers":{"wanted":4,"serving":3,"spare":0,"suspected":1,"set_aside":2}}""",
            (await _api.GetAsync("/ready", 503)).GetRawText());
        Assert.Equal("""{"status":"alive"}""", (await _api.GetAsync("/health", 200)).GetRawText());
    }
}

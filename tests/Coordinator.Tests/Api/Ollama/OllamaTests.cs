using System.Text.Json;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Api.Ollama;

/// <summary>Ollama's API: its shapes, its lines, and what of it is refused.</summary>
public sealed class OllamaTests : IAsyncLifetime
{
    const string Tools =
        """[{"type":"function","function":{"name":"weather","description":"Of a place","parameters":"""
        + """{"type":"object","properties":{"place":{"type":"string"}}}}}]""";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ToolScript.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task A_chat_streams_unless_it_is_told_not_to()
    {
        _api.Engine.Play(Answers.Stopped("Hello there."));
        var lines = await LinesAsync("/api/chat", """{"model":"demo:latest","messages":[{"role":"user","content":"Hi"}]}""");
        Assert.Equal("Hello there.", string.Concat(lines.Select(line => line.GetProperty("message").GetProperty("content").GetString())));
        Assert.All(lines.SkipLast(1), line => Assert.False(line.GetProperty("done").GetBoolean()));
        Assert.True(lines[^1].GetProperty("done").GetBoolean());
        Assert.Equal("stop", lines[^1].GetProperty("done_reason").GetString());
        Assert.Equal(_api.Engine.Requests[0].Prompt.Count, lines[^1].GetProperty("prompt_eval_count").GetInt32());

        var whole = await _api.PostAsync("/api/chat", """{"model":"demo","stream":false,"messages":[{"role":"user","content":"Hi"}]}""", 200);
        Assert.Equal("""{"role":"assistant","content":"Hello there."}""", whole.GetProperty("message").GetRawText());
        Assert.True(whole.GetProperty("done").GetBoolean());
        Assert.InRange(whole.GetProperty("eval_duration").GetInt64(), 1, whole.GetProperty("total_duration").GetInt64());
        Assert.InRange(whole.GetProperty("prompt_eval_duration").GetInt64(), 1, whole.GetProperty("total_duration").GetInt64());
    }

    [Fact]
    public async Task Options_reach_the_sampler_and_have_Ollamas_defaults()
    {
        await _api.PostAsync("/api/generate", """{"model":"demo","prompt":"Hi","stream":false}""", 200);
        var usual = _api.Engine.Requests[0].Sampling;
        Assert.Equal((0.8f, 0.9f, 40, 1f), (usual.Temperature, usual.TopP, usual.TopK, usual.RepetitionPenalty));
        using var response = await _api.PostAsync("/api/generate", """
            {"model":"demo","prompt":"Hi","stream":false,"keep_alive":"5m",
            "options":{"temperature":0,"top_k":5,"seed":7,"num_predict":3,"repeat_penalty":1.1,"stop":["x"],"num_ctx":4096,"num_thread":8}}
            """);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        Assert.Equal("options.num_thread, options.num_ctx", response.Headers.GetValues("X-LlamaCluster-Ignored").Single());
        var request = _api.Engine.Requests[1];
        Assert.Equal(
            (0f, 5, 1.1f, 7UL, 3),
            (request.Sampling.Temperature, request.Sampling.TopK, request.Sampling.RepetitionPenalty, request.Sampling.Seed, request.MaxTokens));
    }

    [Fact]
    public async Task A_generation_goes_on_from_the_context_of_another()
    {
        _api.Engine.Play(Answers.Stopped("One."));
        var first = await _api.PostAsync("/api/generate", """{"model":"demo","system":"Be brief.","prompt":"Count","stream":false}""", 200);
        Assert.Equal("One.", first.GetProperty("response").GetString());
        var context = first.GetProperty("context");
        Assert.Equal([.. _api.Engine.Requests[0].Prompt, .. Answers.IdsOf("One.")], context.EnumerateArray().Select(id => id.GetInt32()));
        Assert.Contains("Be brief.", ToolScript.PromptOf(_api.Engine.Requests[0]));
        await _api.PostAsync("/api/generate", $$"""{"model":"demo","prompt":"Go on","stream":false,"context":{{context.GetRawText()}}}""", 200);
        Assert.Contains("One.", ToolScript.PromptOf(_api.Engine.Requests[1]));
        Assert.EndsWith("assistant<|end_header_id|>\n\n", ToolScript.PromptOf(_api.Engine.Requests[1]));
    }

    [Fact]
    public async Task A_raw_prompt_is_taken_as_it_is()
    {
        await _api.PostAsync("/api/generate", """{"model":"demo","prompt":"Once","raw":true,"stream":false}""", 200);
        Assert.DoesNotContain("<|start_header_id|>", ToolScript.PromptOf(_api.Engine.Requests[0]));
    }

    [Theory]
    [InlineData(
        """{"template":"<<SYS>>{{ .System }}<</SYS>> {{ .Prompt }} -> {{ .Response }} never","system":"Be brief."}""",
        "<<SYS>>Be brief.<</SYS>> Once -> ")]
    [InlineData(
        """{"template":"{{ range .Messages }}[{{ .Role }}] {{ .Content }}\n{{ end }}[assistant]","system":"Be brief."}""",
        "[system] Be brief.\n[user] Once\n[assistant]")]
    [InlineData("""{"template":"{{ .Prompt }}<FILL>{{ .Suffix }}","suffix":"the end"}""", "Once<FILL>the end")]
    [InlineData("""{"template":"{{ .Prompt }}{{ if .Think }} think {{ .ThinkLevel }}{{ end }}","think":"high"}""", "Once think high")]
    [InlineData("""{"template":""}""", null)]
    public async Task A_template_of_the_request_takes_the_place_of_the_models(string fields, string? prompt)
    {
        await _api.PostAsync("/api/generate", $$"""{"model":"demo","prompt":"Once","stream":false,{{fields[1..]}}""", 200);
        var asked = ToolScript.PromptOf(_api.Engine.Requests[0]);
        if (prompt is null) Assert.Contains("<|start_header_id|>user", asked);
        else Assert.Equal(ToolScript.Llama.BosText + prompt, asked);
    }

    [Fact]
    public async Task Special_tokens_count_in_the_requests_template_and_are_words_in_its_prompt()
    {
        var bos = ToolScript.Llama.BosText;
        await _api.PostAsync("/api/generate", $$"""{"model":"demo","prompt":"a{{bos}}b","template":"{{bos}}{{"{{ .Prompt }}"}}{{bos}}","stream":false}""", 200);
        var request = _api.Engine.Requests[0];
        Assert.Equal($"{bos}a{bos}b{bos}", ToolScript.PromptOf(request));
        Assert.Equal([0, request.Prompt.Count - 1], request.Prompt.Index().Where(one => one.Item == request.Prompt[0]).Select(one => one.Index));
    }

    [Fact]
    public async Task Calls_come_whole_and_results_find_them()
    {
        var body = $$"""{"model":"demo","tools":{{Tools}},"messages":[{"role":"user","content":"Weather?"}""";
        var lines = await LinesAsync("/api/chat", body + "]}");
        var call = Assert.Single(lines, line => line.GetProperty("message").TryGetProperty("tool_calls", out _))
            .GetProperty("message").GetProperty("tool_calls")[0];
        Assert.Equal("""{"name":"weather","arguments":{"place": "Zürich"}}""", call.GetProperty("function").GetRawText());
        var next = await _api.PostAsync("/api/chat", $$$$"""
            {{{{body}}}},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"weather","arguments":{"place":"Zürich"}}}]},
            {"role":"tool","tool_name":"weather","content":"rain"}],"stream":false}
            """, 200);
        Assert.Equal(ToolScript.Words, next.GetProperty("message").GetProperty("content").GetString());
        Assert.Contains("\"rain\"", ToolScript.PromptOf(_api.Engine.Requests[^1]));
    }

    [Theory]
    [InlineData("/api/chat", """{"model":"demo"}""")]
    [InlineData("/api/generate", """{"model":"demo","keep_alive":0}""")]
    public async Task A_request_without_words_only_loads(string path, string body)
    {
        Assert.Equal("load", (await _api.PostAsync(path, body, 200)).GetProperty("done_reason").GetString());
        Assert.Empty(_api.Engine.Requests);
    }

    [Fact]
    public async Task The_model_is_listed_shown_and_loaded()
    {
        Assert.Matches(@"^\d+\.\d+\.\d+$", (await _api.GetAsync("/api/version", 200)).GetProperty("version").GetString());
        var tag = Assert.Single((await _api.GetAsync("/api/tags", 200)).GetProperty("models").EnumerateArray());
        Assert.Equal(("demo", "0123456789abcdef"), (tag.GetProperty("name").GetString(), tag.GetProperty("digest").GetString()));
        Assert.Equal("demo", (await _api.GetAsync("/api/ps", 200)).GetProperty("models")[0].GetProperty("model").GetString());
        var shown = await _api.PostAsync("/api/show", """{"model":"demo","verbose":false}""", 200);
        Assert.Equal(["completion", "embedding", "tools"], shown.GetProperty("capabilities").EnumerateArray().Select(name => name.GetString()));
        Assert.Equal(8192, shown.GetProperty("model_info").GetProperty("llama.context_length").GetInt32());
        Assert.Contains("bos_token", shown.GetProperty("template").GetString());
        _api.Engine.Status = new EngineStatus(false, "loading", 1);
        Assert.Empty((await _api.GetAsync("/api/ps", 200)).GetProperty("models").EnumerateArray());
    }

    [Theory]
    [InlineData("/api/chat", """{"messages":[]}""", 400, "'model' is required")]
    [InlineData("/api/chat", """{"model":"other","messages":[]}""", 404, "does not exist here")]
    [InlineData("/api/chat", """{"model":"demo","messages":[{"role":"user","content":"a","images":["x"]}]}""", 400, "this is a text model")]
    [InlineData(
        "/api/generate",
        """{"model":"demo","prompt":"a","template":"{{ .Prompt }}\n{{ html .Prompt }}"}""",
        400, "'template' cannot be read: line 2, position 4: the function 'html' is not supported")]
    [InlineData(
        "/api/generate",
        """{"model":"demo","prompt":"a","template":"{{ .Prompt.x }}"}""",
        400, "'template' cannot be rendered: line 1, position 4: a value of type string has no field 'x'")]
    [InlineData(
        "/api/generate",
        """{"model":"demo","prompt":"a","template":"{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}"}""",
        400, "nested deeper than")]
    [InlineData("/api/generate", """{"model":"demo","prompt":"a","template":"{{ .Prompt }}","raw":true}""", 400, "'template' has no place beside 'raw'")]
    [InlineData("/api/generate", """{"model":"demo","prompt":"a","template":"{{ .Prompt }}","suffix":"b"}""", 400, "'suffix' has no place in 'template'")]
    [InlineData("/api/generate", """{"model":"demo","prompt":"a","template":7}""", 400, "'template' must be a string")]
    [InlineData("/api/generate", """{"model":"demo","prompt":"a","options":{"temperature":9}}""", 400, "'options.temperature' must be")]
    [InlineData("/api/generate", """{"model":"demo","prompt":"a","format":"yaml"}""", 400, "'format' must be")]
    [InlineData("/api/show", """{"model":"other"}""", 404, "does not exist here")]
    [InlineData("/api/pull", """{"model":"demo"}""", 501, "Models are not managed through the API")]
    [InlineData("/api/create", "{}", 501, "Models are not managed through the API")]
    public async Task Errors_have_Ollamas_shape(string path, string body, int status, string message)
    {
        var error = await _api.PostAsync(path, body, status);
        Assert.Equal(1, error.GetPropertyCount());
        Assert.Contains(message, error.GetProperty("error").GetString());
    }

    [Fact]
    public async Task A_stream_that_breaks_ends_with_an_error_line()
    {
        _api.Engine.Play(Answers.Token(65), new SequenceEvent.Failed("A worker was lost.", Retryable: true));
        var lines = await LinesAsync("/api/generate", """{"model":"demo","prompt":"Hi"}""");
        Assert.Equal("A worker was lost.", lines[^1].GetProperty("error").GetString());
    }

    async Task<JsonElement[]> LinesAsync(string path, string body)
    {
        using var response = await _api.PostAsync(path, body);
        Assert.Equal("application/x-ndjson", response.Content.Headers.ContentType?.MediaType);
        var text = await response.Content.ReadAsStringAsync();
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
    }
}

using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>How long prompt and answer may be together, who says so, and what becomes of requests that want more.</summary>
public sealed class ContextTests : IAsyncLifetime
{
    const string Chat = "/v1/chat/completions";
    const string Completions = "/v1/completions";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData("max_tokens")]
    [InlineData("max_completion_tokens")]
    public async Task An_answer_longer_than_the_room_is_cut_to_it_and_says_so(string field)
    {
        using var response = await _api.PostAsync(Chat, Requests.Chat($$"""{"{{field}}":32000}"""));
        Assert.Equal(200, (int)response.StatusCode);
        var request = Assert.Single(_api.Engine.Requests);
        Assert.Equal(DemoModel.Context, request.Prompt.Count + request.MaxTokens);
        Assert.Equal($"{field}={request.MaxTokens}", Assert.Single(response.Headers.GetValues("X-LlamaCluster-Adjusted")));
        using var fits = await _api.PostAsync(Chat, Requests.Chat($$"""{"{{field}}":{{request.MaxTokens}}}"""));
        Assert.False(fits.Headers.Contains("X-LlamaCluster-Adjusted"));
    }

    [Fact]
    public async Task Of_several_prompts_the_longest_says_what_room_there_is()
    {
        using var response = await _api.PostAsync(Completions, """{"prompt":[[1,2,3],[1,2,3,4,5]],"max_tokens":510,"top_p":0}""");
        Assert.Equal([509, 507], _api.Engine.Requests.Select(request => request.MaxTokens).OrderDescending());
        Assert.Equal("top_p=1, max_tokens=507", string.Join(", ", response.Headers.GetValues("X-LlamaCluster-Adjusted")));
        Assert.All(_api.Engine.Requests, request => Assert.Equal(1, request.Sampling.TopP));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"max_tokens":-1}""")]
    [InlineData("""{"max_tokens":100000}""")]
    public async Task Where_the_KV_cache_holds_less_than_the_context_that_is_the_context(string more)
    {
        _api.Engine.Status = new EngineStatus(true, "", 1) { MaxPositions = 128 };
        await _api.PostAsync(Chat, Requests.Chat(more), 200);
        var request = Assert.Single(_api.Engine.Requests);
        Assert.Equal(128, request.Prompt.Count + request.MaxTokens);
    }

    [Fact]
    public async Task That_context_is_what_every_address_and_error_says()
    {
        _api.Engine.Status = new EngineStatus(true, "", 1) { MaxPositions = 128 };
        Assert.Equal(128, (await _api.GetAsync("/v1/models/demo", 200)).GetProperty("max_model_len").GetInt32());
        Assert.Equal(128, (await _api.GetAsync("/props", 200)).GetProperty("default_generation_settings").GetProperty("n_ctx").GetInt32());
        Assert.Equal(128, (await _api.PostAsync("/tokenize", """{"prompt":"a"}""", 200)).GetProperty("max_model_len").GetInt32());
        var error = (await _api.PostAsync(Completions, $$"""{"prompt":[{{string.Join(',', Enumerable.Repeat(65, 128))}}]}""", 400)).GetProperty("error");
        Assert.Equal("context_length_exceeded", error.GetProperty("code").GetString());
        Assert.Equal(
            "This model's maximum context length is 128 tokens, but the prompt has 128, which leaves no room for an answer. Shorten the prompt. "
            + "The cluster's KV cache has room for no more; the model is served with a context of 512. More workers or more memory raise it.",
            error.GetProperty("message").GetString());
        _api.Engine.Status = new EngineStatus(true, "", 1) { MaxPositions = 65536 };
        Assert.Equal(512, (await _api.GetAsync("/v1/models/demo", 200)).GetProperty("max_model_len").GetInt32());
    }

    [Theory]
    [InlineData(512, "For a longer one serve another model (--model).")]
    [InlineData(131072, "The server was started with it; the model itself takes up to 131072 (--context).")]
    public async Task A_prompt_that_is_too_long_is_told_what_to_do(int longest, string advice)
    {
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { LongestContext = longest });
        foreach (var text in new[] { string.Join(' ', Enumerable.Repeat("word", 2000)), new string('a', 400_000) })
        {
            var error = (await api.PostAsync(Chat, $$"""{"messages":[{"role":"user","content":"{{text}}"}]}""", 400)).GetProperty("error");
            Assert.StartsWith("This model's maximum context length is 512 tokens, but the prompt has ", error.GetProperty("message").GetString());
            Assert.EndsWith($"Shorten the prompt. {advice}", error.GetProperty("message").GetString());
        }
    }
}

using System.Text.Json;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Api;

public sealed class OtherEndpointsTests : IAsyncLifetime
{
    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

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
    [InlineData("/tokenize", """{"prompt":"a","x":1}""", "x")]
    [InlineData("/tokenize", """{"prompt":"a","messages":[{"role":"user","content":"a"}]}""", "prompt")]
    [InlineData("/tokenize", """{"messages":[]}""", "messages")]
    [InlineData("/tokenize", """{"prompt":"a","return_token_strs":true}""", "return_token_strs")]
    [InlineData("/detokenize", "{}", "tokens")]
    [InlineData("/detokenize", """{"tokens":"a"}""", "tokens")]
    [InlineData("/detokenize", """{"tokens":[-1]}""", "tokens")]
    [InlineData("/detokenize", """{"tokens":[1],"x":1}""", "x")]
    public async Task Wrong_fields_are_refused_by_name(string path, string body, string param)
        => Assert.Equal(param, (await _api.PostAsync(path, body, 400)).GetProperty("error").GetProperty("param").GetString());

    [Fact]
    public async Task Alive_and_ready_are_two_things()
    {
        Assert.Equal("""{"ready":true}""", (await _api.GetAsync("/ready", 200)).GetRawText());
        _api.Engine.Status = new EngineStatus(false, "waiting for 1 of 2 workers", 0);
        Assert.Equal("""{"ready":false,"reason":"waiting for 1 of 2 workers"}""", (await _api.GetAsync("/ready", 503)).GetRawText());
        Assert.Equal("""{"status":"alive"}""", (await _api.GetAsync("/health", 200)).GetRawText());
    }
}

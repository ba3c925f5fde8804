using System.Text.Json;

namespace LlamaCluster.Coordinator.Tests.Api.TextGeneration;

/// <summary>Text Generation Inference's API.</summary>
public sealed class GenerateTests : IAsyncLifetime
{
    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData("/")]
    [InlineData("/generate")]
    public async Task Errors_have_the_shape_that_its_clients_read(string address)
        => Assert.Equal("validation", (await _api.PostAsync(address, "{}", 400)).GetProperty("error_type").GetString());

    [Fact]
    public async Task A_text_is_generated_whole()
    {
        _api.Engine.Play(Answers.Of("Hello there."));
        var answer = await _api.PostAsync("/generate", """{"inputs":"Hi","parameters":{"max_new_tokens":5,"details":true,"seed":3}}""", 200);
        Assert.Equal("Hello there.", answer.GetProperty("generated_text").GetString());
        var details = answer.GetProperty("details");
        Assert.Equal(("length", 3L), (details.GetProperty("finish_reason").GetString(), details.GetProperty("seed").GetInt64()));
        Assert.Equal(Answers.IdsOf("Hello there."), details.GetProperty("tokens").EnumerateArray().Select(token => token.GetProperty("id").GetInt32()));
        var request = _api.Engine.Requests[0];
        Assert.Equal((5, 0f, 3UL), (request.MaxTokens, request.Sampling.Temperature, request.Sampling.Seed));
    }

    [Fact]
    public async Task A_stream_has_an_event_for_each_token_and_the_text_in_the_last()
    {
        const string text = "Hé 🙂 there.";
        _api.Engine.Play(Answers.BytesOf(text, LlamaCluster.Coordinator.Generation.FinishReason.Stop));
        var events = (await _api.StreamAsync("/generate_stream", """{"inputs":"Hi"}""")).Select(data => JsonDocument.Parse(data).RootElement).ToArray();
        Assert.Equal(Enumerable.Range(1, events.Length), events.Select(happened => happened.GetProperty("index").GetInt32()));
        Assert.Equal(text, string.Concat(events.Select(happened => happened.GetProperty("token").GetProperty("text").GetString())));
        Assert.All(events.SkipLast(1), happened => Assert.Equal(JsonValueKind.Null, happened.GetProperty("generated_text").ValueKind));
        Assert.Equal(text, events[^1].GetProperty("generated_text").GetString());
        Assert.Equal("eos_token", events[^1].GetProperty("details").GetProperty("finish_reason").GetString());
    }

    [Theory]
    [InlineData("""{"inputs":"Hi","parameters":{"temperature":0.5}}""", 0.5f)]
    [InlineData("""{"inputs":"Hi","parameters":{"top_p":0.5}}""", 1f)]
    [InlineData("""{"inputs":"Hi","parameters":{"do_sample":true}}""", 1f)]
    [InlineData("""{"inputs":"Hi","parameters":{"do_sample":false,"temperature":0.5}}""", 0f)]
    public async Task Options_of_sampling_ask_for_it(string body, float temperature)
    {
        await _api.PostAsync("/generate", body, 200);
        Assert.Equal(temperature, _api.Engine.Requests[0].Sampling.Temperature);
    }

    [Fact]
    public async Task The_root_answers_with_a_list_and_the_server_describes_itself()
    {
        _api.Engine.Play(Answers.Of("x"));
        Assert.Equal(
            "Hix",
            (await _api.PostAsync("/", """{"inputs":"Hi","parameters":{"return_full_text":true}}""", 200))[0].GetProperty("generated_text").GetString());
        var info = await _api.GetAsync("/info", 200);
        Assert.Equal((DemoModel.Name, DemoModel.Context), (info.GetProperty("model_id").GetString(), info.GetProperty("max_total_tokens").GetInt32()));
    }

    [Theory]
    [InlineData("{}", "'inputs' is required")]
    [InlineData("""{"inputs":"a","parameters":{"temperature":0}}""", "'parameters.temperature' must be")]
    [InlineData("""{"inputs":"a","parameters":{"watermark":true}}""", "'parameters.watermark' is not supported")]
    public async Task Errors_have_that_servers_shape(string body, string message)
    {
        var error = await _api.PostAsync("/generate", body, 400);
        Assert.Contains(message, error.GetProperty("error").GetString());
        Assert.Equal("validation", error.GetProperty("error_type").GetString());
    }
}

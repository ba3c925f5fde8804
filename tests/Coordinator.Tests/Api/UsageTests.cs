using System.Text.Json;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>What a request is said to have cost.</summary>
public sealed class UsageTests : IAsyncLifetime
{
    ApiHost _api = null!;

    public async Task InitializeAsync()
    {
        _api = await ApiHost.StartAsync();
        // The second choice of a prompt takes over what the first one computed, which in turn found three tokens.
        _api.Engine.Script = request => Answers.Of("ok").Prepend(new SequenceEvent.Begun(request.Sampling.Seed == 1 ? 3 : request.Prompt.Count - 1)).ToAsyncEnumerable();
    }

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData("/v1/completions", """{"prompt":[1,2,3,4,5],"n":2,"seed":1}""", 3)]
    [InlineData("/v1/completions", """{"prompt":[[1,2,3,4,5],[1,2,3,4,5,6]],"n":2,"seed":1}""", 6)]
    [InlineData("/v1/completions", """{"prompt":[1,2,3,4,5],"n":2,"seed":2}""", 4)]
    [InlineData("/v1/chat/completions", """{"messages":[{"role":"user","content":"Hi"}],"n":2,"seed":1}""", 3)]
    public async Task Tokens_that_no_choice_had_to_compute_are_cached_ones(string path, string body, int cached)
    {
        var whole = await _api.PostAsync(path, body, 200);
        Assert.Equal(cached, Cached(whole));
        var events = await _api.StreamAsync(path, body[..^1] + ""","stream":true,"stream_options":{"include_usage":true}}""");
        Assert.Equal(cached, Cached(JsonDocument.Parse(events[^2]).RootElement));
    }

    static int Cached(JsonElement answer) => answer.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();
}

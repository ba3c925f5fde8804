using System.Text;
using System.Text.Json;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>Addresses that clients try: those that work in two ways, and what the others are told.</summary>
public sealed class AddressTests : IAsyncLifetime
{
    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData("/chat/completions")]
    [InlineData("/v1/chat/completions/")]
    public async Task Chat_works_without_the_version_and_with_a_slash_at_the_end(string path) => await _api.PostAsync(path, Requests.Chat(), 200);

    [Fact]
    public async Task So_do_the_other_addresses_of_OpenAI()
    {
        await _api.PostAsync("/completions", Requests.Completion(), 200);
        Assert.Equal("demo", (await _api.GetAsync("/models", 200)).GetProperty("data")[0].GetProperty("id").GetString());
        Assert.Equal("demo", (await _api.GetAsync("/models/demo", 200)).GetProperty("id").GetString());
        Assert.Equal("alive", (await _api.GetAsync("/v1/health", 200)).GetProperty("status").GetString());   // llama.cpp has it in both places
    }

    [Theory]
    [InlineData("/v1/v1/chat/completions", "/v1/chat/completions")]
    [InlineData("//v1/chat/completions", "/v1/chat/completions")]
    [InlineData("/api/v1/chat/completions", "/v1/chat/completions")]
    [InlineData("/openai/deployments/demo/chat/completions", "/v1/chat/completions")]
    [InlineData("/v1/v1/completions", "/v1/completions")]
    [InlineData("/v2/models", "/v1/models")]
    [InlineData("/v1/tokenize", "/tokenize")]
    [InlineData("/v1/v1/health", "/health")]
    [InlineData("/v1/v1/messages", "/v1/messages")]
    [InlineData("/anthropic/v1/messages/count_tokens", "/v1/messages/count_tokens")]
    [InlineData("/v1/v1/responses", "/v1/responses")]
    public async Task A_wrong_place_says_the_right_one(string path, string right)
    {
        var error = (await PostAsync(path)).GetProperty("error");
        Assert.Equal("unknown_url", error.GetProperty("code").GetString());
        Assert.Contains($"The right address is {right}; use an OpenAI client with the base URL http://127.0.0.1:", error.GetProperty("message").GetString());
    }

    [Theory]
    [InlineData("/v1/audio/speech", "Audio is not supported")]
    [InlineData("/completion", "llama.cpp's own completion API is not supported")]
    [InlineData("/v1", "The API is under /v1")]
    [InlineData("/v1/chat/completions/x", "The API is under /v1")]
    [InlineData("/health/x", "The API is under /v1")]
    public async Task What_is_missing_is_said_to_be(string path, string message)
    {
        var error = (await PostAsync(path)).GetProperty("error");
        Assert.Equal("unknown_url", error.GetProperty("code").GetString());
        Assert.Contains(message, error.GetProperty("message").GetString());
    }

    [Theory]
    [InlineData("/api/chats")]
    [InlineData("/api")]
    public async Task A_client_of_Ollama_reads_an_error_of_its_own_shape(string path)
    {
        var error = await PostAsync(path);
        Assert.Equal(1, error.GetPropertyCount());
        Assert.Contains("Of Ollama's API there are /api/chat, ", error.GetProperty("error").GetString());
    }

    [Theory]
    [InlineData("/v1/messages/batches")]
    public async Task So_does_one_of_Anthropic(string path)
    {
        var error = await PostAsync(path);
        Assert.Equal("error", error.GetProperty("type").GetString());
        Assert.Equal("not_found_error", error.GetProperty("error").GetProperty("type").GetString());
        Assert.Contains("The API is under /v1", error.GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task The_root_says_who_is_there()
    {
        using var asked = await _api.Http.GetAsync("/");
        Assert.Equal("text/plain", asked.Content.Headers.ContentType?.MediaType);
        Assert.Contains("LlamaCluster is running and serves demo.", await asked.Content.ReadAsStringAsync());
        using var head = await _api.Http.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/"));
        Assert.Equal((200, 0), ((int)head.StatusCode, (await head.Content.ReadAsByteArrayAsync()).Length));
    }

    [Fact]
    public async Task A_long_address_is_not_given_back()
        => Assert.InRange((await PostAsync($"/{new string('a', 5000)}")).GetProperty("error").GetProperty("message").GetString()!.Length, 1, 300);

    async Task<JsonElement> PostAsync(string path)
    {
        var url = $"{_api.Http.BaseAddress!.ToString().TrimEnd('/')}{path}";
        using var response = await _api.Http.PostAsync(url, new StringContent("{}", Encoding.UTF8, "application/json"));
        Assert.Equal(404, (int)response.StatusCode);
        return JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
    }
}

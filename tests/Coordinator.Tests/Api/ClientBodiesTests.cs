using System.Text.Json.Nodes;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>
/// Requests as clients send them by default, headers and all, recorded from the clients themselves (texts are shorter). The table in docs/api.md
/// is about the same clients.
/// </summary>
public sealed class ClientBodiesTests : IAsyncLifetime
{
    const string Chat = "/v1/chat/completions";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync(DemoModel.Served with { ContextLength = 32_768 });

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Theory]
    [InlineData("npm openai 7, whole", Chat, """{"messages":[{"role":"user","content":"Hi"}]}""", "x-stainless-lang: js; x-stainless-retry-count: 0")]
    [InlineData(
        "npm openai 7, streamed", Chat,
        """{"messages":[{"role":"user","content":"Hi"}],"stream":true}""",
        "x-stainless-helper-method: stream; sec-fetch-mode: cors")]
    [InlineData("AI SDK 6", Chat, """{"messages":[{"role":"user","content":"Hi"}],"stream":true}""", "user-agent: ai-sdk/openai-compatible/2.0.92")]
    [InlineData("LangChain 1.5, whole", Chat, """{"stream":false,"messages":[{"role":"user","content":"Hi"}]}""", "x-stainless-lang: js")]
    [InlineData("LangChain 1.5, streamed", Chat, """{"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}""", "")]
    [InlineData("LangChain 1.5, text", "/v1/completions", """{"n":1,"stream":false,"prompt":["Hi"]}""", "")]
    [InlineData("LlamaIndex 0.4", Chat, """{"temperature":0.1,"messages":[{"role":"user","content":"Hi"}],"top_p":1,"stream":true}""", "")]
    [InlineData(
        "NuGet OpenAI 2.15", Chat,
        """{"messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true}}""",
        "x-stainless-lang: csharp")]
    [InlineData(
        "Microsoft.Extensions.AI 11", Chat,
        """{"temperature":0,"messages":[{"role":"user","content":"Hi"}],"max_completion_tokens":16000,"seed":1}""",
        "user-agent: OpenAI/2.14.0 MEAI/11.0.0")]
    [InlineData("Semantic Kernel 1.82", Chat, """{"messages":[{"role":"user","content":"Hi"}]}""", "semantic-kernel-version: 1.82.0.0")]
    [InlineData(
        "opencode 1.18, title", Chat,
        """{"max_tokens":32000,"messages":[{"role":"user","content":"A"}],"stream":true,"stream_options":{"include_usage":true}}""",
        "x-session-id: ses_1; x-session-affinity: ses_1")]
    [InlineData(
        "opencode 1.18", Chat,
        """{"max_tokens":30000,"messages":[{"role":"user","content":"Hi"}],"tools":["""
        + """{"type":"function","function":{"name":"read","description":"Read a file","parameters":"""
        + """{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":"""
        + """{"path":{"type":"string"}},"required":["path"],"additionalProperties":false}}}],"tool_choice":"auto","stream":true,"stream_options":"""
        + """{"include_usage":true}}""",
        "x-session-id: ses_1; x-session-affinity: ses_1")]
    [InlineData(
        "qwen-code 0.15", Chat,
        """{"messages":[{"role":"system","content":"A"},{"role":"user","content":[{"type":"text","text":"A"}]},"""
        + """{"role":"assistant","content":null,"tool_calls":["""
        + """{"id":"call_1","type":"function","function":{"name":"ls","arguments":"{\"path\":\".\"}"}}]},"""
        + """{"role":"tool","tool_call_id":"call_1","content":"a.cs"}],"stream":true,"stream_options":{"include_usage":true},"tools":["""
        + """{"type":"function","function":{"name":"ls","description":"","parameters":{"type":"object"}}}],"max_tokens":8000}""",
        "")]
    [InlineData(
        "qwen-code 0.15, without tools", Chat,
        """{"messages":[{"role":"user","content":[{"type":"text","text":"A"}]}],"stream":true,"stream_options":{"include_usage":true},"max_tokens":8000}""",
        "")]
    public async Task A_default_request_gets_an_answer_and_nothing_of_it_is_left_out(string client, string path, string body, string headers)
    {
        using var response = await SendAsync(path, body, headers);
        Assert.True(response.IsSuccessStatusCode, $"{client}: {await response.Content.ReadAsStringAsync()}");
        Assert.DoesNotContain(response.Headers, header => header.Key.StartsWith("X-LlamaCluster"));
        var request = Assert.Single(_api.Engine.Requests);
        var sent = JsonNode.Parse(body)!;
        if ((sent["max_tokens"] ?? sent["max_completion_tokens"]) is { } asked) Assert.Equal(asked.GetValue<int>(), request.MaxTokens);
    }

    Task<HttpResponseMessage> SendAsync(string path, string body, string headers)
    {
        var named = JsonNode.Parse(body)!.AsObject();
        named["model"] = DemoModel.Name;
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = ApiHost.JsonContent(named.ToJsonString()) };
        foreach (var header in headers.Split("; ", StringSplitOptions.RemoveEmptyEntries))
            request.Headers.TryAddWithoutValidation(header.Split(": ")[0], header.Split(": ")[1]);
        return _api.Http.SendAsync(request);
    }
}

using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Coordinator.Tests.Api.Keys;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>
/// What Llama Stack sends to servers of OpenAI's API: its providers remote::vllm, remote::openai, remote::passthrough and remote::llama-cpp-server hand all
/// parameters that are set to OpenAI's Python client (openai_mixin.py), for its own callers and for its agents, whose turns are streamed chats with functions.
/// </summary>
public sealed class LlamaStackTests : IAsyncLifetime
{
    const string Chat = "/v1/chat/completions";
    const string Completions = "/v1/completions";
    const string Tools =
        """[{"type":"function","function":{"name":"get_weather","description":"Weather of a city","parameters":"""
        + """{"type":"object","properties":{"city":{"type":"string","description":"Its name"}},"required":["city"]}}},"""
        + """{"type":"function","function":{"name":"knowledge_search","description":"Search","parameters":"""
        + """{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}}}]""";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ApiHost.StartAsync(DemoModel.Served with { ContextLength = 4096 });

    public async Task DisposeAsync() => await _api.DisposeAsync();

    /// <summary>vLLM's health is asked for beside the base URL's last part: beside "v1", or behind it where the URL ends with a slash.</summary>
    [Theory]
    [InlineData("/health")]
    [InlineData("/v1/health")]
    public async Task It_sees_that_all_is_well(string path) => await _api.GetAsync(path, 200);

    [Fact]
    public async Task It_finds_the_model()
    {
        var model = (await _api.GetAsync("/v1/models", 200)).GetProperty("data")[0];
        Assert.Equal(("demo", "model"), (model.GetProperty("id").GetString(), model.GetProperty("object").GetString()));
    }

    [Fact]
    public async Task Its_token_is_the_key()
    {
        using var keys = new KeyFile(("stack", "inference"));
        await using var api = await ApiHost.StartAsync(options: new ApiOptions { KeysFile = keys.Path });
        await api.GetAsync("/health", 200);
        await api.GetAsync("/v1/models", 401);
        api.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", keys["stack"]);
        await api.GetAsync("/v1/models", 200);
    }

    [Theory]
    [InlineData(
        Chat,
        """{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi","name":"anna"}],"frequency_penalty":0.1,"logit_bias":"""
        + """{"5":-1.0},"logprobs":true,"max_completion_tokens":64,"n":2,"presence_penalty":0.2,"seed":7,"stop":"""
        + """["x"],"stream":false,"temperature":0.0,"top_logprobs":2,"top_p":0.9,"user":"anna"}""")]
    [InlineData(
        Chat,
        """{"messages":[{"role":"developer","content":[{"type":"text","text":"Be brief."}]},{"role":"user","content":"""
        + """[{"type":"text","text":"Hi"}]}],"max_tokens":8,"safety_identifier":"s","service_tier":"auto","prompt_cache_key":"k"}""")]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"text"}}""")]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_object"}}""")]
    [InlineData(
        Chat,
        """{"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_schema","json_schema":"""
        + """{"name":"city","description":"One","strict":true,"schema":{"type":"object","properties":"""
        + """{"name":{"type":"string"},"people":{"type":"integer"}},"required":["name","people"],"additionalProperties":false}}}}""")]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"Hi"}],"guided_choice":["joy","sadness"],"repetition_penalty":1.1,"top_k":40}""")]
    [InlineData(
        Completions,
        """{"prompt":"Hi","best_of":1,"echo":false,"frequency_penalty":0.0,"logit_bias":"""
        + """{},"max_tokens":5,"n":1,"presence_penalty":0.0,"seed":1,"stop":"x","stream":false,"temperature":0.5,"top_p":1.0,"user":"anna","suffix":""}""")]
    [InlineData(Completions, """{"prompt":["Hi","Ho"],"guided_regex":"(joy|sadness)"}""")]
    [InlineData(Completions, """{"prompt":[[5,6],[7]],"logprobs":false}""")]
    public async Task All_that_it_sends_counts(string path, string body)
    {
        _api.Engine.Play(Answers.Stopped("Hello."));
        using var response = await _api.PostAsync(path, WithModel(body));
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        Assert.False(response.Headers.Contains("X-LlamaCluster-Ignored"));
        Assert.False(response.Headers.Contains("X-LlamaCluster-Adjusted"));
        var answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
        Assert.All(["id", "object", "created", "model", "choices", "usage"], name => Assert.True(answer.TryGetProperty(name, out _), name));
    }

    /// <summary>Its model of plain completions has a flag where OpenAI's has a number.</summary>
    [Fact]
    public async Task Log_probabilities_of_a_plain_completion_are_asked_for_by_true()
    {
        _api.Engine.Play(Answers.Stopped("Hello."));
        using var response = await _api.PostAsync(Completions, WithModel("""{"prompt":"Hi","logprobs":true}"""));
        Assert.Equal("logprobs=1", response.Headers.GetValues("X-LlamaCluster-Adjusted").Single());
        var choice = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("choices")[0];
        Assert.NotEqual(0, choice.GetProperty("logprobs").GetProperty("token_logprobs").GetArrayLength());
    }

    /// <summary>remote::vllm asks for 4096 tokens where its caller names no number, and the model has room for fewer.</summary>
    [Fact]
    public async Task Its_own_number_of_tokens_is_lowered_to_what_fits()
    {
        using var response = await _api.PostAsync(Chat, WithModel("""{"messages":[{"role":"user","content":"Hi"}],"max_tokens":4096}"""));
        Assert.True(response.IsSuccessStatusCode);
        Assert.StartsWith("max_tokens=40", response.Headers.GetValues("X-LlamaCluster-Adjusted").Single());
    }

    /// <summary>It adds the option by itself while it records a trace.</summary>
    [Theory]
    [InlineData(Chat, """{"messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true}}""")]
    [InlineData(Completions, """{"prompt":"Hi","stream":true,"stream_options":{"include_usage":true}}""")]
    public async Task Streams_end_with_the_usage(string path, string body)
    {
        _api.Engine.Play(Answers.Stopped("Hello there."));
        var events = await _api.StreamAsync(path, WithModel(body));
        Assert.Equal("[DONE]", events[^1]);
        var last = JsonDocument.Parse(events[^2]).RootElement;
        Assert.Equal(0, last.GetProperty("choices").GetArrayLength());
        Assert.True(last.GetProperty("usage").GetProperty("completion_tokens").GetInt32() > 0);
    }

    [Theory]
    [InlineData("\"auto\"", null)]
    [InlineData("\"required\"", 2)]
    [InlineData("""{"type":"function","function":{"name":"get_weather"}}""", 1)]
    [InlineData("""{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"knowledge_search"}}]}}""", 1)]
    public async Task An_agent_chooses_among_functions(string choice, int? enforced)
    {
        await _api.StreamAsync(Chat, WithModel(
            $$"""{"messages":[{"role":"user","content":"Weather?"}],"tools":{{Tools}},"tool_choice":{{choice}},"stream":true,"parallel_tool_calls":true}"""));
        var grammar = _api.Engine.Requests[0].Grammar;
        Assert.Equal(enforced, grammar is null ? null : JsonNode.Parse(grammar.Text)!["tags"]!.AsArray().Count);
    }

    [Fact]
    public async Task An_agent_calls_a_function_and_brings_the_result_back()
    {
        _api.Engine.Play(Answers.Stopped("""<tool_call>{"name":"get_weather","arguments":{"city":"Oslo"}}</tool_call>"""));
        var first = await _api.StreamAsync(Chat, WithModel(
            """{"messages":[{"role":"user","content":"Weather?"}],"tools":"""
            + $$$"""{{{Tools}}},"tool_choice":"auto","stream":true,"temperature":0.7,"stream_options":{"include_usage":true}}"""));
        var choices = first.SkipLast(2).Select(data => JsonDocument.Parse(data).RootElement.GetProperty("choices")[0]).ToList();
        Assert.Equal("tool_calls", choices[^1].GetProperty("finish_reason").GetString());
        var calls = choices.Where(part => part.GetProperty("delta").TryGetProperty("tool_calls", out _))
            .Select(part => part.GetProperty("delta").GetProperty("tool_calls")[0])
            .ToList();
        var id = calls[0].GetProperty("id").GetString();
        var arguments = string.Concat(calls.Select(call => call.GetProperty("function").GetProperty("arguments").GetString()));
        Assert.Equal("""{"city":"Oslo"}""", arguments);

        _api.Engine.Play(Answers.Stopped("Sunny."));
        var history =
            """[{"role":"user","content":"Weather?"},"""
            + $$$"""{"role":"assistant","content":"","tool_calls":[{"index":0,"id":"{{{id}}}","type":"function","function":"""
            + $$$"""{"name":"get_weather","arguments":{{{JsonSerializer.Serialize(arguments)}}}}}]},"""
            + $$$"""{"role":"tool","tool_call_id":"{{{id}}}","content":[{"type":"text","text":"sunny"}]}]""";
        using var second = await _api.PostAsync(Chat, WithModel($$"""{"messages":{{history}},"tools":{{Tools}}}"""));
        Assert.False(second.Headers.Contains("X-LlamaCluster-Ignored"));
        var answer = JsonDocument.Parse(await second.Content.ReadAsStringAsync()).RootElement.GetProperty("choices")[0];
        Assert.Equal("Sunny.", answer.GetProperty("message").GetProperty("content").GetString());
        Assert.Contains("sunny", ToolScript.PromptOf(_api.Engine.Requests[1]));
    }

    [Fact]
    public async Task An_agent_reads_reasoning_apart_from_the_answer()
    {
        await using var api = await ApiHost.StartAsync(options: new ApiOptions { ReasoningParser = ReasoningParser.Think });
        api.Engine.Play(Answers.Stopped("<think>\nSimple.\n</think>\n\nYes."));
        var events = await api.StreamAsync(Chat, WithModel(
            """{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Ha","reasoning":"Hm."},"""
            + """{"role":"user","content":"Well?"}],"stream":true,"reasoning_effort":"low"}"""));
        var deltas = events.SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement.GetProperty("choices")[0].GetProperty("delta")).ToList();
        string TextOf(string name) => string.Concat(deltas.Select(delta => delta.TryGetProperty(name, out var text) ? text.GetString() : null));
        Assert.Equal(("Simple.", "Yes."), (TextOf("reasoning_content").Trim(), TextOf("content").Trim()));
    }

    [Theory]
    [InlineData("""{"input":["a","b"],"encoding_format":"float"}""", 2)]
    [InlineData("""{"input":"a","encoding_format":"float","dimensions":1,"user":"anna"}""", 1)]
    [InlineData("""{"input":[[5,6],[7]],"encoding_format":"float"}""", 2)]
    public async Task Embeddings_are_lists_of_numbers(string body, int count)
    {
        _api.Engine.Script = _ =>
            new SequenceEvent[] { new SequenceEvent.Embedded([3, 4]), new SequenceEvent.Finished(FinishReason.Length) }.ToAsyncEnumerable();
        var answer = await _api.PostAsync("/v1/embeddings", WithModel(body), 200);
        Assert.Equal(count, answer.GetProperty("data").GetArrayLength());
        Assert.All(answer.GetProperty("data").EnumerateArray(), one => Assert.Equal(JsonValueKind.Number, one.GetProperty("embedding")[0].ValueKind));
        Assert.True(answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32() > 0);
    }

    /// <summary>remote::vllm asks at an address of vLLM's own.</summary>
    [Fact]
    public async Task Ranking_is_said_to_be_missing() => Assert.Contains(
        "Ranking is not supported",
        (await _api.PostAsync("/rerank", WithModel("""{"query":"a","documents":["b","c"],"top_n":1}"""), 404))
            .GetProperty("error").GetProperty("message").GetString());

    static string WithModel(string body) => $$"""{"model":"{{DemoModel.Name}}",{{body[1..]}}""";
}

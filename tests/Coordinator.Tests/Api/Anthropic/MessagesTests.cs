using System.Text.Json;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Api.Anthropic;

/// <summary>Anthropic's API: its shapes, its events, and what of it is refused.</summary>
public sealed class MessagesTests : IAsyncLifetime
{
    const string Path = "/v1/messages";
    const string Tools =
        """[{"name":"weather","description":"Of a place","input_schema":{"type":"object","properties":"""
        + """{"place":{"type":"string"}}},"cache_control":{"type":"ephemeral"}}]""";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ToolScript.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task A_whole_message_has_Anthropics_shape()
    {
        _api.Engine.Play([new SequenceEvent.Begun(3), .. Answers.Stopped("Hello there.")]);
        var answer = await _api.PostAsync(Path, """{"model":"demo","max_tokens":50,"system":"Be brief.","messages":[{"role":"user","content":"Hi"}]}""", 200);
        Assert.Equal(("message", "assistant", "demo"), (Text(answer, "type"), Text(answer, "role"), Text(answer, "model")));
        Assert.StartsWith("msg_", Text(answer, "id"));
        Assert.Equal("""[{"type":"text","text":"Hello there."}]""", answer.GetProperty("content").GetRawText());
        Assert.Equal(("end_turn", null), (Text(answer, "stop_reason"), Text(answer, "stop_sequence")));
        var prompt = _api.Engine.Requests[0].Prompt.Count;
        var output = Answers.IdsOf("Hello there.").Count + 1;
        Assert.Equal(
            $$"""{"input_tokens":{{prompt - 3}},"cache_creation_input_tokens":0,"cache_read_input_tokens":3,"output_tokens":{{output}}}""",
            answer.GetProperty("usage").GetRawText());
        Assert.Contains("Be brief.", ToolScript.PromptOf(_api.Engine.Requests[0]));
        Assert.Equal(50, _api.Engine.Requests[0].MaxTokens);
    }

    [Fact]
    public async Task A_stream_has_its_events_in_order()
    {
        _api.Engine.Play(Answers.BytesOf($"I look.\n{ToolScript.Call}", FinishReason.Stop));
        var events = await EventsAsync($$"""{"max_tokens":500,"stream":true,"tools":{{Tools}},"messages":[{"role":"user","content":"Weather?"}]}""");
        Assert.Equal(
            [
                "message_start", "content_block_start", "content_block_delta", "content_block_stop",
                "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
            ],
            Collapse(events.Select(happened => Text(happened, "type")!)));
        Assert.Equal("I look.", string.Concat(Deltas(events, "text_delta", "text")));
        var started = events.Where(happened => Text(happened, "type") == "content_block_start").ToArray();
        Assert.Equal([0, 1], started.Select(happened => happened.GetProperty("index").GetInt32()));
        Assert.Equal("weather", Text(started[1].GetProperty("content_block"), "name"));
        Assert.Equal("{}", started[1].GetProperty("content_block").GetProperty("input").GetRawText());
        Assert.Equal("""{"place": "Zürich"}""", string.Concat(Deltas(events, "input_json_delta", "partial_json")));
        Assert.Equal("tool_use", Text(events[^2].GetProperty("delta"), "stop_reason"));
        Assert.True(events[^2].GetProperty("usage").GetProperty("output_tokens").GetInt32() > 10);
    }

    [Fact]
    public async Task Calls_and_results_go_round()
    {
        var body = $$"""{"max_tokens":500,"tools":{{Tools}},"messages":[{"role":"user","content":[{"type":"text","text":"Weather?"}]}""";
        var answer = await _api.PostAsync(Path, body + "]}", 200);
        var use = Assert.Single(answer.GetProperty("content").EnumerateArray());
        Assert.Equal("tool_use", Text(answer, "stop_reason"));
        Assert.Equal(("tool_use", "weather"), (Text(use, "type"), Text(use, "name")));
        Assert.Equal("""{"place": "Zürich"}""", use.GetProperty("input").GetRawText());

        var result = $$"""{"type":"tool_result","tool_use_id":"{{Text(use, "id")}}","is_error":true,"content":[{"type":"text","text":"no rain gauge"}]}""";
        var next = await _api.PostAsync(
            Path,
            $$"""{{body}},{"role":"assistant","content":{{answer.GetProperty("content").GetRawText()}}},"""
            + $$"""{"role":"user","content":[{{result}},{"type":"text","text":"And?"}]}]}""",
            200);
        Assert.Equal(ToolScript.Words, Text(next.GetProperty("content")[0], "text"));
        var prompt = ToolScript.PromptOf(_api.Engine.Requests[^1]);
        Assert.Contains("\"Error: no rain gauge\"<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nAnd?", prompt);
        Assert.Contains("""{"name": "weather", "parameters": {"place": "Zürich"}}<|eot_id|>""", prompt);
    }

    [Theory]
    [InlineData("one STOP two", "one ", "stop_sequence", "STOP")]
    [InlineData("one", "one", "max_tokens", null)]
    public async Task The_reason_to_stop_is_told(string text, string words, string reason, string? stop)
    {
        _api.Engine.Play(Answers.BytesOf(text));
        var answer = await _api.PostAsync(Path, """{"max_tokens":9,"stop_sequences":["STOP"],"messages":[{"role":"user","content":"Hi"}]}""", 200);
        Assert.Equal(words, Text(answer.GetProperty("content")[0], "text"));
        Assert.Equal((reason, stop), (Text(answer, "stop_reason"), Text(answer, "stop_sequence")));
    }

    [Fact]
    public async Task The_model_goes_on_with_words_that_were_begun_for_it()
    {
        await _api.PostAsync(Path, """{"max_tokens":9,"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"My answer is"}]}""", 200);
        Assert.EndsWith("<|start_header_id|>assistant<|end_header_id|>\n\nMy answer is", ToolScript.PromptOf(_api.Engine.Requests[0]));
    }

    [Fact]
    public async Task Tokens_are_counted_as_the_prompt_has_them()
    {
        const string body = """{"model":"demo","messages":[{"role":"user","content":"Hi"}]}""";
        var counted = await _api.PostAsync($"{Path}/count_tokens", body, 200);
        await _api.PostAsync(Path, body, 200);
        Assert.Equal($$"""{"input_tokens":{{_api.Engine.Requests[0].Prompt.Count}}}""", counted.GetRawText());
    }

    [Theory]
    [InlineData("""{"max_tokens":0}""", "'max_tokens' must be")]
    [InlineData("""{"messages":[]}""", "at least one message")]
    [InlineData("""{"messages":[{"role":"tool","content":"a"}]}""", "must be user or assistant")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image","source":{}}]}]}""", "this is a text model")]
    [InlineData("""{"messages":[{"role":"user"}]}""", "'messages[0].content' is required")]
    [InlineData("""{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","input":{}}]}]}""", "name' is required")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"tool_result","content":"a"}]}]}""", "tool_use_id' is required")]
    [InlineData("""{"tools":[{"type":"web_search_20250305","name":"web_search"}]}""", "this server runs no tools itself")]
    [InlineData("""{"tool_choice":{"type":"any"}}""", "'tools' names no function")]
    [InlineData("""{"tool_choice":{"type":"maybe"}}""", "must be \"auto\", \"any\", \"tool\" or \"none\"")]
    [InlineData("""{"mcp_servers":[{}]}""", "'mcp_servers' is not supported")]
    [InlineData("""{"stop_sequences":[""]}""", "'stop_sequences' must be")]
    public async Task What_is_wrong_is_said_in_Anthropics_shape(string more, string message)
    {
        var answer = await _api.PostAsync(Path, Requests.Chat(more), 400);
        Assert.Equal("error", Text(answer, "type"));
        Assert.Equal("invalid_request_error", Text(answer.GetProperty("error"), "type"));
        Assert.Contains(message, Text(answer.GetProperty("error"), "message"));
        Assert.StartsWith("req_", Text(answer, "request_id"));
    }

    [Fact]
    public async Task Errors_of_every_kind_have_Anthropics_shape_and_words()
    {
        Assert.Equal("not_found_error", Text((await _api.PostAsync(Path, Requests.Chat("""{"model":"x"}"""), 404)).GetProperty("error"), "type"));
        _api.Engine.Play(new SequenceEvent.Refused("full", Refusal.QueueFull));
        Assert.Equal("rate_limit_error", Text((await _api.PostAsync(Path, Requests.Chat(), 429)).GetProperty("error"), "type"));
        _api.Engine.Status = new EngineStatus(false, "loading", 1);
        Assert.Equal("overloaded_error", Text((await _api.PostAsync(Path, Requests.Chat(), 503)).GetProperty("error"), "type"));
        Assert.Equal("error", Text(await _api.GetAsync(Path, 405), "type"));
    }

    [Fact]
    public async Task A_stream_that_breaks_ends_with_an_error_event()
    {
        _api.Engine.Play(Answers.Token(65), new SequenceEvent.Failed("A worker was lost.", Retryable: true));
        var events = await EventsAsync(Requests.Chat("""{"stream":true}"""));
        Assert.Equal("overloaded_error", Text(events[^1].GetProperty("error"), "type"));
        Assert.Equal("A worker was lost.", Text(events[^1].GetProperty("error"), "message"));
    }

    [Theory]
    [InlineData("""{"thinking":{"type":"enabled","budget_tokens":1024}}""", "thinking")]
    [InlineData(
        """{"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]}]}""", "messages[].content[].cache_control")]
    [InlineData(
        """{"messages":[{"role":"user","content":"a"},"""
        + """{"role":"assistant","content":[{"type":"thinking","thinking":"b","signature":"c"},{"type":"text","text":"d"}]},"""
        + """{"role":"user","content":"e"}]}""",
        "messages[].content[].thinking")]
    [InlineData("""{"metadata":{"user_id":"u"},"top_k":5,"temperature":0.5}""", "")]
    public async Task What_has_no_effect_is_reported(string more, string names)
    {
        using var response = await _api.PostAsync(Path, Requests.Chat(more));
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        Assert.Equal(names, response.Headers.TryGetValues("X-LlamaCluster-Ignored", out var ignored) ? ignored.Single() : "");
    }

    async Task<JsonElement[]> EventsAsync(string body)
    {
        using var response = await _api.PostAsync(Path, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.MediaType);
        return [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(ReadEvent)];
    }

    static JsonElement ReadEvent(string lines)
    {
        var parts = lines.Split('\n');
        var data = JsonDocument.Parse(parts[1]["data: ".Length..]).RootElement;
        Assert.Equal($"event: {Text(data, "type")}", parts[0]);
        return data;
    }

    static IEnumerable<string?> Deltas(JsonElement[] events, string type, string field)
        => events.Where(happened => happened.TryGetProperty("delta", out var delta) && delta.TryGetProperty("type", out var named) && named.GetString() == type)
            .Select(happened => Text(happened.GetProperty("delta"), field));

    static List<string> Collapse(IEnumerable<string> types)
    {
        var collapsed = new List<string>();
        foreach (var type in types)
            if (collapsed.LastOrDefault() != type) collapsed.Add(type);
        return collapsed;
    }

    static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();
}

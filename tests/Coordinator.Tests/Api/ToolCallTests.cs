using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Api;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Testing;
using LlamaCluster.Text;
using LlamaCluster.Text.Answers;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>Functions in requests, and calls in answers, as OpenAI's chat completions have them.</summary>
public sealed class ToolCallTests : IAsyncLifetime
{
    const string Path = "/v1/chat/completions";
    const string Tools =
        """[{"type":"function","function":{"name":"weather","description":"Of a place","parameters":"""
        + """{"type":"object","properties":{"place":{"type":"string"}}},"strict":false}},"""
        + """{"type":"function","function":{"name":"now"}}]""";

    ApiHost _api = null!;


    public async Task InitializeAsync() => _api = await ApiHost.StartAsync(ToolScript.Llama);

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task A_whole_answer_has_its_calls_and_null_content()
    {
        _api.Engine.Play(Answers.Stopped("""{"name": "weather", "parameters": {"place": "Zürich"}}"""));
        var choice = (await _api.PostAsync(Path, Body(), 200)).GetProperty("choices")[0];
        Assert.Equal("tool_calls", choice.GetProperty("finish_reason").GetString());
        var message = choice.GetProperty("message");
        Assert.Equal(JsonValueKind.Null, message.GetProperty("content").ValueKind);
        var call = Assert.Single(message.GetProperty("tool_calls").EnumerateArray());
        Assert.Equal("function", call.GetProperty("type").GetString());
        Assert.StartsWith("call_", call.GetProperty("id").GetString());
        Assert.Equal("""{"name":"weather","arguments":"{\"place\": \"Zürich\"}"}""", call.GetProperty("function").GetRawText());
    }

    [Fact]
    public async Task A_stream_has_id_and_name_first_and_then_fragments_of_the_arguments()
    {
        _api.Engine.Play(Answers.BytesOf(
            """{"name": "weather", "parameters": {"place": "Zürich 🙂"}}; {"name": "now", "parameters": {}}""", FinishReason.Stop));
        var events = await _api.StreamAsync(Path, Body("""{"stream":true}"""));
        var choices = events.SkipLast(1).Select(data => JsonDocument.Parse(data).RootElement.GetProperty("choices")[0]).ToArray();
        Assert.Equal("tool_calls", choices[^1].GetProperty("finish_reason").GetString());
        var calls = choices[1..^1].Select(choice => Assert.Single(choice.GetProperty("delta").GetProperty("tool_calls").EnumerateArray())).ToArray();
        Assert.All(choices[1..^1], choice => Assert.Equal(1, choice.GetProperty("delta").GetPropertyCount()));
        Assert.Equal("weather", calls[0].GetProperty("function").GetProperty("name").GetString());
        Assert.Equal("", calls[0].GetProperty("function").GetProperty("arguments").GetString());
        Assert.Equal(2, calls.Count(call => call.TryGetProperty("id", out _)));
        Assert.True(calls.Length > 20);
        var arguments = calls.GroupBy(call => call.GetProperty("index").GetInt32(), call => call.GetProperty("function").GetProperty("arguments").GetString());
        Assert.Equal(["""{"place": "Zürich 🙂"}""", "{}"], arguments.Select(fragments => string.Concat(fragments)));
    }

    [Theory]
    [InlineData("Just words.", "Just words.", 0, "stop")]
    [InlineData("Wait.\n{\"name\": \"now\", \"parameters\": {}}", "Wait.", 1, "tool_calls")]
    [InlineData("{\"name\": \"now\", \"parameters\": {}}; {\"name\": \"now\", \"parameters\": {}}", null, 2, "tool_calls")]
    public async Task Words_and_calls_are_told_apart(string text, string? content, int calls, string reason)
    {
        _api.Engine.Play(Answers.Stopped(text));
        var choice = (await _api.PostAsync(Path, Body(), 200)).GetProperty("choices")[0];
        var message = choice.GetProperty("message");
        Assert.Equal(content, message.GetProperty("content").GetString());
        Assert.Equal(calls, message.TryGetProperty("tool_calls", out var made) ? made.GetArrayLength() : 0);
        Assert.Equal(reason, choice.GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task An_answer_that_is_cut_says_so_whatever_it_was_about_to_call()
    {
        _api.Engine.Play(Answers.Of("""{"name": "weather", "parameters": {"pla"""));
        var choice = (await _api.PostAsync(Path, Body(), 200)).GetProperty("choices")[0];
        Assert.Equal("length", choice.GetProperty("finish_reason").GetString());
        Assert.Equal("{\"pla", choice.GetProperty("message").GetProperty("tool_calls")[0].GetProperty("function").GetProperty("arguments").GetString());
    }

    [Fact]
    public async Task Without_parallel_calls_an_answer_ends_with_its_first()
    {
        var call = """{"name": "now", "parameters": {}}""";
        _api.Engine.Script = _ => EndlessStream.After(Answers.BytesOf($"{call}; {call}; ").SkipLast(1));
        var choice = (await _api.PostAsync(Path, Body("""{"parallel_tool_calls":false}"""), 200)).GetProperty("choices")[0];
        Assert.Equal(1, choice.GetProperty("message").GetProperty("tool_calls").GetArrayLength());
        Assert.Equal("tool_calls", choice.GetProperty("finish_reason").GetString());
        await _api.Engine.Cancelled.Task.WaitAsync(ApiHost.Deadline);
    }

    [Theory]
    [InlineData("""{"tool_choice":"required"}""", "{\"name\": \"weather\", \"parameters\": ", 2, 0)]
    [InlineData("""{"tool_choice":"required","parallel_tool_calls":false}""", "{\"name\": \"weather\", \"parameters\": ", 2, 1)]
    [InlineData("""{"tool_choice":{"type":"function","function":{"name":"now"}}}""", "{\"name\": \"now\", \"parameters\": ", 1, 0)]
    [InlineData(
        """{"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"now"}}]}}}""",
        "{\"name\": \"now\", \"parameters\": ", 1, 0)]
    [InlineData(
        """{"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"null"}}}}""",
        "{\"name\": \"weather\", \"parameters\": ", 3, 1)]
    public async Task A_call_that_must_be_made_is_enforced(string more, string begin, int tags, int most)
    {
        await _api.PostAsync(Path, Body(more), 200);
        var grammar = _api.Engine.Requests[0].Grammar!;
        Assert.Equal(LlamaCluster.Text.Grammars.GrammarKind.Tags, grammar.Kind);
        var written = JsonNode.Parse(grammar.Text)!;
        Assert.Equal((begin, tags, most), ((string?)written["tags"]![0]!["begin"], written["tags"]!.AsArray().Count, (int)written["most"]!));
    }

    [Fact]
    public async Task A_schema_that_cannot_be_enforced_is_refused_where_it_is_strict_and_loosened_where_it_is_not()
    {
        const string body =
            """{"tool_choice":"required","tools":[{"type":"function","function":{"name":"f","strict":STRICT,"parameters":"""
            + """{"type":"object","properties":{"a":{"type":"array","uniqueItems":true}}}}}]}""";
        var error = (await _api.PostAsync(Path, Body(body.Replace("STRICT", "true")), 400)).GetProperty("error");
        Assert.Contains("/properties/a", error.GetProperty("message").GetString());
        using var loosened = await _api.PostAsync(Path, Body(body.Replace("STRICT", "false")));
        Assert.True(loosened.IsSuccessStatusCode, await loosened.Content.ReadAsStringAsync());
        Assert.Equal("tools.f.parameters=object", loosened.Headers.GetValues("X-LlamaCluster-Adjusted").Single());
    }

    [Fact]
    public async Task The_prompt_tells_of_functions_unless_none_may_be_called()
    {
        await _api.PostAsync(Path, Body(), 200);
        var prompt = Prompt();
        Assert.Contains("Given the following functions", prompt);
        Assert.Contains("\"description\": \"Of a place\"", prompt);
        Assert.DoesNotContain("strict", prompt);

        _api.Engine.Play(Answers.Stopped("""{"name": "now", "parameters": {}}"""));
        var choice = (await _api.PostAsync(Path, Body("""{"tool_choice":"none"}"""), 200)).GetProperty("choices")[0];
        Assert.DoesNotContain("weather", Prompt());
        Assert.Equal("""{"name": "now", "parameters": {}}""", choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Equal("stop", choice.GetProperty("finish_reason").GetString());
    }

    [Fact]
    public async Task Of_functions_that_are_not_allowed_the_prompt_tells_nothing_and_none_is_called()
    {
        const string onlyNow =
            """{"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"now"}}]}}}""";
        const string other = """{"name": "weather", "parameters": {}}""";
        _api.Engine.Play(Answers.Stopped(other));
        var choice = (await _api.PostAsync(Path, Body(onlyNow), 200)).GetProperty("choices")[0];
        Assert.Contains("\"now\"", Prompt());
        Assert.DoesNotContain("weather", Prompt());
        Assert.Equal(other, choice.GetProperty("message").GetProperty("content").GetString());
        Assert.Null(_api.Engine.Requests[0].Grammar);
    }

    [Fact]
    public async Task Calls_and_results_of_before_are_part_of_the_prompt()
    {
        const string history = """
            [{"role":"user","content":"Weather and time?"},
             {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"weather","arguments":"{\"place\":\"Bern\"}"}},
               {"id":"c2","type":"function","function":{"name":"now","arguments":""}}]},
             {"role":"tool","tool_call_id":"c2","content":"noon"},
             {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"rain"}]}]
            """;
        using var response = await _api.PostAsync(Path, Body($$"""{"messages":{{history}}}"""));
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        Assert.False(response.Headers.Contains("X-LlamaCluster-Ignored"));
        Assert.Contains(
            "{\"name\": \"weather\", \"parameters\": {\"place\": \"Bern\"}}<|eot_id|><|start_header_id|>ipython<|end_header_id|>\n\n\"rain\"<|eot_id|>"
            + "<|start_header_id|>assistant<|end_header_id|>\n\n"
            + "{\"name\": \"now\", \"parameters\": {}}<|eot_id|><|start_header_id|>ipython<|end_header_id|>\n\n\"noon\"",
            Prompt());
    }

    [Fact]
    public async Task A_model_whose_template_knows_no_functions_is_told_of_them_in_the_system_message()
    {
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { ContextLength = 4096 });
        api.Engine.Play(Answers.Stopped("<tool_call>\n{\"name\": \"now\", \"arguments\": {\"zone\": \"UTC\"}}\n</tool_call>"));
        var message = (await api.PostAsync(Path, Body(), 200)).GetProperty("choices")[0].GetProperty("message");
        Assert.Equal("{\"zone\": \"UTC\"}", message.GetProperty("tool_calls")[0].GetProperty("function").GetProperty("arguments").GetString());
        Assert.Contains("<tool_call>", DemoModel.Text.Tokenizer.DecodeText([.. api.Engine.Requests[0].Prompt], includeControl: true));
    }

    [Fact]
    public async Task The_operator_can_say_how_the_model_writes_calls()
    {
        await using var api = await ApiHost.StartAsync(ToolScript.Llama, options: new() { ToolParser = ToolFormat.Hermes });
        api.Engine.Play(Answers.Stopped("<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>"));
        var message = (await api.PostAsync(Path, Body(), 200)).GetProperty("choices")[0].GetProperty("message");
        Assert.Equal("now", message.GetProperty("tool_calls")[0].GetProperty("function").GetProperty("name").GetString());
    }

    [Theory]
    [InlineData(ReasoningParser.Auto, false)]
    [InlineData(ReasoningParser.Think, true)]
    public async Task Reasoning_is_a_field_of_its_own(ReasoningParser parser, bool wanted)
    {
        await using var api = await ApiHost.StartAsync(options: new() { ReasoningParser = parser });
        api.Engine.Play(Answers.Stopped("<think>\nSimple.\n</think>\n\nYes."));
        var message = (await api.PostAsync(Path, Requests.Chat(), 200)).GetProperty("choices")[0].GetProperty("message");
        Assert.Equal(wanted ? "Yes." : "<think>\nSimple.\n</think>\n\nYes.", message.GetProperty("content").GetString());
        Assert.Equal(wanted ? "Simple." : null, message.TryGetProperty("reasoning_content", out var reasoning) ? reasoning.GetString() : null);
        if (!wanted) return;
        var deltas = (await api.StreamAsync(Path, Requests.Chat("""{"stream":true}"""))).SkipLast(1)
            .Select(data => JsonDocument.Parse(data).RootElement.GetProperty("choices")[0].GetProperty("delta")).ToArray();
        Assert.Equal("Simple.", string.Concat(deltas.Select(delta => delta.TryGetProperty("reasoning_content", out var words) ? words.GetString() : "")));
        Assert.Equal("Yes.", string.Concat(deltas.Select(delta => delta.TryGetProperty("content", out var words) ? words.GetString() : "")));
    }

    [Fact]
    public async Task A_template_that_reasons_is_recognised_and_gets_earlier_reasoning()
    {
        const string template = """
            {%- for m in messages %}<{{ m.role }}>{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}{% endfor -%}
            {%- if add_generation_prompt %}<assistant><think>
            {% endif %}
            """;
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Template = ChatTemplate.Parse(template) });
        api.Engine.Play(Answers.Stopped("Hm.\n</think>\n\nYes."));
        var body =
            """{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning_content":"why b"},{"role":"user","content":"c"}]}""";
        using var response = await api.PostAsync(Path, body);
        Assert.False(response.Headers.Contains("X-LlamaCluster-Ignored"));
        var message = JsonNode.Parse(await response.Content.ReadAsStringAsync())!["choices"]![0]!["message"]!;
        Assert.Equal(("Hm.", "Yes."), ((string?)message["reasoning_content"], (string?)message["content"]));
        Assert.Contains("<think>why b</think>b", DemoModel.Text.Tokenizer.DecodeText([.. api.Engine.Requests[0].Prompt], includeControl: true));
    }

    static string Body(string more = "{}")
    {
        var body = JsonNode.Parse(more)!.AsObject();
        body["tools"] ??= JsonNode.Parse(Tools);
        return Requests.Chat(body.ToJsonString());
    }

    string Prompt() => DemoModel.Text.Tokenizer.DecodeText([.. _api.Engine.Requests[^1].Prompt], includeControl: true);
}

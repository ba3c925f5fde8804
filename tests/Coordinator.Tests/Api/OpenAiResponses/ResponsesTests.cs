using System.Text.Json;
using LlamaCluster.Coordinator.Generation;

namespace LlamaCluster.Coordinator.Tests.Api.OpenAiResponses;

/// <summary>OpenAI's Responses API: its shapes, its events, and what it keeps.</summary>
public sealed class ResponsesTests : IAsyncLifetime
{
    const string Path = "/v1/responses";
    const string Tools =
        """[{"type":"function","name":"weather","description":"Of a place","parameters":"""
        + """{"type":"object","properties":{"place":{"type":"string"}}},"strict":false}]""";

    ApiHost _api = null!;

    public async Task InitializeAsync() => _api = await ToolScript.StartAsync();

    public async Task DisposeAsync() => await _api.DisposeAsync();

    [Fact]
    public async Task A_whole_response_has_OpenAIs_shape()
    {
        _api.Engine.Play(Answers.Stopped("Hello there."));
        var answer = await _api.PostAsync(
            Path, """{"model":"demo","input":"Hi","instructions":"Be brief.","max_output_tokens":50,"metadata":{"a":"b"}}""", 200);
        Assert.StartsWith("resp_", Text(answer, "id"));
        Assert.Equal(
            ("response", "completed", "demo", "Be brief."),
            (Text(answer, "object"), Text(answer, "status"), Text(answer, "model"), Text(answer, "instructions")));
        var message = Assert.Single(answer.GetProperty("output").EnumerateArray());
        Assert.Equal(("message", "assistant", "completed"), (Text(message, "type"), Text(message, "role"), Text(message, "status")));
        Assert.Equal("""[{"type":"output_text","text":"Hello there.","annotations":[],"logprobs":[]}]""", message.GetProperty("content").GetRawText());
        Assert.Equal("""{"a":"b"}""", answer.GetProperty("metadata").GetRawText());
        Assert.Equal(_api.Engine.Requests[0].Prompt.Count, answer.GetProperty("usage").GetProperty("input_tokens").GetInt32());
        Assert.Contains("Be brief.", ToolScript.PromptOf(_api.Engine.Requests[0]));
    }

    [Fact]
    public async Task A_stream_has_its_events_in_order_and_numbered()
    {
        _api.Engine.Play(Answers.BytesOf($"I look.\n{ToolScript.Call}", FinishReason.Stop));
        var events = await EventsAsync($$"""{"input":"Weather?","stream":true,"tools":{{Tools}}}""");
        Assert.Equal(
            [
                "response.created", "response.in_progress",
                "response.output_item.added", "response.content_part.added",
                "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done",
                "response.output_item.added", "response.function_call_arguments.delta", "response.function_call_arguments.done", "response.output_item.done",
                "response.completed",
            ],
            Collapse(events.Select(happened => Text(happened, "type")!)));
        Assert.Equal(Enumerable.Range(0, events.Length), events.Select(happened => happened.GetProperty("sequence_number").GetInt32()));
        var response = events[^1].GetProperty("response");
        Assert.Equal(["message", "function_call"], response.GetProperty("output").EnumerateArray().Select(item => Text(item, "type")));
        Assert.Equal("""{"place": "Zürich"}""", Text(response.GetProperty("output")[1], "arguments"));
        Assert.Equal("I look.", Text(response.GetProperty("output")[0].GetProperty("content")[0], "text"));
        Assert.Equal(
            [0, 1],
            events.Where(happened => Text(happened, "type") == "response.output_item.done")
                .Select(happened => happened.GetProperty("output_index").GetInt32()));
    }

    [Fact]
    public async Task A_response_goes_on_from_another_and_is_kept_until_it_is_deleted()
    {
        var first = await _api.PostAsync(Path, $$"""{"input":"Weather?","instructions":"One.","tools":{{Tools}}}""", 200);
        var call = Assert.Single(first.GetProperty("output").EnumerateArray());
        Assert.Equal(("function_call", "weather"), (Text(call, "type"), Text(call, "name")));
        var second = await _api.PostAsync(Path, $$"""
            {"previous_response_id":"{{Text(first, "id")}}","instructions":"Two.","tools":{{Tools}},
            "input":[{"type":"function_call_output","call_id":"{{Text(call, "call_id")}}","output":"rain"}]}
            """, 200);
        Assert.Equal(ToolScript.Words, Text(second.GetProperty("output")[0].GetProperty("content")[0], "text"));
        var prompt = ToolScript.PromptOf(_api.Engine.Requests[^1]);
        foreach (var words in new[] { "Two.", "Weather?", "\"place\": \"Zürich\"", "\"rain\"" }) Assert.Contains(words, prompt);
        Assert.DoesNotContain("One.", prompt);

        await _api.PostAsync(Path, $$"""{"previous_response_id":"{{Text(second, "id")}}","input":"Thanks."}""", 200);
        Assert.Contains(ToolScript.Words, ToolScript.PromptOf(_api.Engine.Requests[^1]));

        var kept = await _api.GetAsync($"{Path}/{Text(second, "id")}", 200);
        Assert.Equal(second.GetRawText(), kept.GetRawText());
        var items = await _api.GetAsync($"{Path}/{Text(second, "id")}/input_items", 200);
        Assert.Equal("function_call_output", Text(Assert.Single(items.GetProperty("data").EnumerateArray()), "type"));
        using var deleted = await _api.Http.DeleteAsync($"{Path}/{Text(second, "id")}");
        Assert.Contains("\"deleted\":true", await deleted.Content.ReadAsStringAsync());
        await _api.GetAsync($"{Path}/{Text(second, "id")}", 404);
        var error = await _api.PostAsync(Path, $$"""{"previous_response_id":"{{Text(second, "id")}}","input":"More."}""", 400);
        Assert.Equal("previous_response_id", Text(error.GetProperty("error"), "param"));
    }

    [Fact]
    public async Task What_the_client_does_not_want_kept_is_not()
    {
        var answer = await _api.PostAsync(Path, """{"input":"Hi","store":false}""", 200);
        await _api.GetAsync($"{Path}/{Text(answer, "id")}", 404);
    }

    [Fact]
    public async Task A_client_may_send_the_whole_conversation_itself()
    {
        await _api.PostAsync(Path, $$"""
            {"tools":{{Tools}},"input":[
              {"role":"developer","content":"Be brief."},
              {"role":"user","content":[{"type":"input_text","text":"Weather?"}]},
              {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"},
              {"type":"message","role":"assistant","id":"msg_1","status":"completed",
                "content":[{"type":"output_text","text":"I look.","annotations":[],"logprobs":[]}]},
              {"type":"function_call","id":"fc_1","call_id":"c1","name":"weather","arguments":"{\"place\":\"Bern\"}"},
              {"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"sun"}]}]}
            """, 200);
        var prompt = ToolScript.PromptOf(_api.Engine.Requests[0]);
        foreach (var words in new[] { "Be brief.", "Weather?", "\"place\": \"Bern\"", "\"sun\"" }) Assert.Contains(words, prompt);
    }

    [Fact]
    public async Task An_answer_that_is_cut_is_incomplete()
    {
        _api.Engine.Play(Answers.Of("Hello"));
        var answer = await _api.PostAsync(Path, """{"input":"Hi","max_output_tokens":1}""", 200);
        Assert.Equal("incomplete", Text(answer, "status"));
        Assert.Equal("max_output_tokens", Text(answer.GetProperty("incomplete_details"), "reason"));
        Assert.Equal("response.incomplete", Text((await EventsAsync("""{"input":"Hi","stream":true}"""))[^1], "type"));
    }

    [Fact]
    public async Task A_stream_that_breaks_says_that_the_response_failed()
    {
        _api.Engine.Play(Answers.Token(65), new SequenceEvent.Failed("A worker was lost.", Retryable: true));
        var events = await EventsAsync("""{"input":"Hi","stream":true}""");
        Assert.Equal(["response.failed", "error"], events.TakeLast(2).Select(happened => Text(happened, "type")));
        Assert.Equal("A worker was lost.", Text(events[^2].GetProperty("response").GetProperty("error"), "message"));
    }

    [Theory]
    [InlineData("{}", "input")]
    [InlineData("""{"input":[]}""", "input")]
    [InlineData("""{"input":[{"type":"computer_call"}]}""", "input[0].type")]
    [InlineData("""{"input":[{"role":"user","content":[{"type":"input_image"}]}]}""", "input[0].content[0].type")]
    [InlineData("""{"input":[{"type":"function_call","name":"f"}]}""", "input[0].call_id")]
    [InlineData("""{"input":[{"type":"item_reference","id":"x"}]}""", "input[0].id")]
    [InlineData("""{"input":"a","tools":[{"type":"web_search"}]}""", "tools[0].type")]
    [InlineData("""{"input":"a","background":true}""", "background")]
    [InlineData("""{"input":"a","conversation":"c"}""", "conversation")]
    [InlineData("""{"input":"a","text":{"format":{"type":"xml"}}}""", "text.format.type")]
    [InlineData("""{"input":"a","previous_response_id":"resp_x"}""", "previous_response_id")]
    [InlineData("""{"input":"a","temperature":3}""", "temperature")]
    public async Task What_cannot_be_done_is_refused_by_name(string body, string param)
        => Assert.Equal(param, Text((await _api.PostAsync(Path, body, 400)).GetProperty("error"), "param"));

    [Fact]
    public async Task The_next_response_goes_on_with_the_ids_that_were_read_and_generated()
    {
        _api.Engine.Play(Answers.BytesOf("Hello there."));
        var first = await _api.PostAsync(Path, """{"input":"Hi"}""", 200);
        await _api.PostAsync(Path, $$"""{"previous_response_id":"{{Text(first, "id")}}","input":"And you?"}""", 200);
        var (asked, again) = (_api.Engine.Requests[^2].Prompt, _api.Engine.Requests[^1].Prompt);
        int[] known = [.. asked, .. Answers.BytesOf("Hello there.")[..^1].Cast<SequenceEvent.Token>().Select(token => token.Sampled.Id)];
        Assert.Equal(known, again.Take(known.Length));
        Assert.Contains("And you?", ToolScript.PromptOf(_api.Engine.Requests[^1]));
    }

    [Fact]
    public async Task An_item_of_a_response_that_is_kept_can_be_named_instead_of_sent()
    {
        var first = await _api.PostAsync(Path, $$"""{"input":"Weather?","tools":{{Tools}}}""", 200);
        var call = first.GetProperty("output")[0];
        var asked = await _api.GetAsync($"{Path}/{Text(first, "id")}/input_items", 200);
        await _api.PostAsync(Path, $$"""
            {"tools":{{Tools}},"input":[
              {"type":"item_reference","id":"{{Text(asked.GetProperty("data")[0], "id")}}"},
              {"type":"item_reference","id":"{{Text(call, "id")}}"},
              {"type":"function_call_output","call_id":"{{Text(call, "call_id")}}","output":"rain"}]}
            """, 200);
        var prompt = ToolScript.PromptOf(_api.Engine.Requests[^1]);
        foreach (var words in new[] { "Weather?", "\"place\": \"Zürich\"", "\"rain\"" }) Assert.Contains(words, prompt);
        var wrong = await _api.PostAsync(Path, $$"""{"input":[{"type":"item_reference","id":"{{Text(call, "id")}}9"}]}""", 400);
        Assert.Equal("input[0].id", Text(wrong.GetProperty("error"), "param"));
    }

    async Task<JsonElement[]> EventsAsync(string body)
    {
        using var response = await _api.PostAsync(Path, body);
        var text = await response.Content.ReadAsStringAsync();
        return [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries)
            .Select(lines => JsonDocument.Parse(lines.Split('\n')[1]["data: ".Length..]).RootElement)];
    }

    static List<string> Collapse(IEnumerable<string> types)
    {
        var collapsed = new List<string>();
        foreach (var type in types)
            if (collapsed.LastOrDefault() != type) collapsed.Add(type);
        return collapsed;
    }

    static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();
}

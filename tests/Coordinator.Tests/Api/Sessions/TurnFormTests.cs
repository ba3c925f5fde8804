using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Text;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Coordinator.Tests.Api.Sessions;

/// <summary>What prompts of a session are made from besides messages: variables of the template, functions.</summary>
public sealed class TurnFormTests
{
    [Fact]
    public async Task What_a_prompt_is_made_from_besides_messages_may_change_between_turns()
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync();
        // One token per byte: no tokenizer would cut the text so.
        SequenceEvent[] answer = [.. Answers.BytesOf("Hello")[..^1], Answers.Token(DemoModel.EndOfTurn), new SequenceEvent.Finished(FinishReason.Stop)];
        host.Api.Engine.Script = _ => answer.ToAsyncEnumerable();
        using (await host.SendAsync(id, [("user", "One")])) { }
        await host.TurnAsync(id, "Two", "No", """{"chat_template_kwargs":{"date_string":"today"}}""");
        Assert.Equal(DemoModel.Text.Tokenizer.Encode(host.PromptText, addSpecial: false, parseSpecial: true), host.Prompt);   // nothing of the first turn's ids
        await host.TurnAsync(id, "Three", "Yes");
        Assert.Equal(["user: One", "assistant: Hello", "user: Two", "assistant: No", "user: Three", "assistant: Yes"], await host.MessagesAsync(id));
    }

    /// <summary>The same conversation twice: new messages alone, and by a client that keeps nothing and sends all messages back.</summary>
    [Fact]
    public async Task A_turn_with_calls_is_what_a_client_that_sends_all_messages_back_would_get()
    {
        await using var host = await SessionHost.StartAsync(model: ToolScript.Llama);
        host.Api.Engine.Script = request => Answers.Stopped(
            ToolScript.PromptOf(request).Contains("ipython<|end_header_id|>") ? ToolScript.Words : ToolScript.Call).ToAsyncEnumerable();
        var id = await host.CreateAsync();
        JsonArray question = [new JsonObject { ["role"] = "user", ["content"] = "Weather?" }];
        var call = await SendAsync(host, question, id);
        var callId = call["tool_calls"]![0]!["id"]!.GetValue<string>();
        var ids = host.Prompt;
        JsonArray result = [new JsonObject { ["role"] = "tool", ["tool_call_id"] = callId, ["content"] = "rain" }];
        Assert.Equal(ToolScript.Words, (string?)(await SendAsync(host, result, id))["content"]);
        var appended = host.Prompt;
        Assert.Equal(ids, appended[..ids.Length]);

        JsonArray all =
        [
            .. question.DeepClone().AsArray().Select(message => message!.DeepClone()),
            call.DeepClone(),
            .. result.Select(message => message!.DeepClone()),
        ];
        await SendAsync(host, all, id: null);
        Assert.Equal(ToolScript.PromptOf(host.Api.Engine.Requests[^1]), DemoModel.Text.Tokenizer.DecodeText(appended, includeControl: true));

        var stored = (await host.ExportAsync(id)).GetProperty("messages");
        Assert.Equal(["user", "assistant", "tool", "assistant"], stored.EnumerateArray().Select(message => message.GetProperty("role").GetString()));
        Assert.Equal("weather", stored[1].GetProperty("tool_calls")[0].GetProperty("function").GetProperty("name").GetString());
        // Sent back in the place of what is stored, they are the same messages: the turns stay.
        all.Add(new JsonObject { ["role"] = "assistant", ["content"] = ToolScript.Words });
        all.Add(new JsonObject { ["role"] = "user", ["content"] = "Thanks." });
        using (var replaced = await host.Api.Http.PostAsync(SessionHost.Chat, ApiHost.JsonContent(Body(all, id, "replace"))))
            Assert.True(replaced.IsSuccessStatusCode);
        Assert.Equal(3, (await host.ExportAsync(id)).GetProperty("turns").GetArrayLength());
    }

    [Fact]
    public async Task Reasoning_is_kept_where_the_template_writes_it_again()
    {
        foreach (var (source, kept) in new[] { (Reasons, true), (Reasons.Replace("m.reasoning_content", "m.other"), false) })
        {
            var model = DemoModel.Served with { Template = ChatTemplate.Parse(source) };
            await using var host = await SessionHost.StartAsync(model: model);
            var id = await host.CreateAsync();
            Assert.Equal("Yes", await host.TurnAsync(id, "One", "<think>Hm</think>Yes"));
            var stored = (await host.ExportAsync(id)).GetProperty("messages")[1];
            Assert.Equal(("Yes", kept), (stored.GetProperty("content").GetString(), stored.TryGetProperty("reasoning_content", out _)));
            await host.TurnAsync(id, "Two", "No");
            Assert.Equal(kept ? "<u>One<a><think>Hm</think>Yes<u>Two<a>" : "<u>One<a>Yes<u>Two<a>", host.PromptText);
        }
    }

    const string Reasons =
        "{% for m in messages %}<{{ m.role[0] }}>{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}{% endfor %}<a>";

    static async Task<JsonNode> SendAsync(SessionHost host, JsonArray messages, string? id)
    {
        using var answer = await host.Api.Http.PostAsync(SessionHost.Chat, ApiHost.JsonContent(Body(messages, id)));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!["choices"]![0]!["message"]!;
    }

    static string Body(JsonArray messages, string? id, string? mode = null) => new JsonObject
    {
        ["messages"] = messages.DeepClone(),
        ["session_id"] = id,
        ["session_mode"] = mode,
        ["tools"] = JsonNode.Parse(
            """[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"place":{"type":"string"}}}}}]"""),
    }.ToJsonString();
}

using System.Net;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Text;

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
        host.Api.Engine.Script = _ => ((SequenceEvent[])[.. Answers.BytesOf("Hello")[..^1], Answers.Token(DemoModel.EndOfTurn), new SequenceEvent.Finished(FinishReason.Stop)]).ToAsyncEnumerable();
        using (await host.SendAsync(id, [("user", "One")])) { }
        await host.TurnAsync(id, "Two", "No", """{"chat_template_kwargs":{"date_string":"today"}}""");
        Assert.Equal(DemoModel.Text.Tokenizer.Encode(host.PromptText, addSpecial: false, parseSpecial: true), host.Prompt);   // nothing of the first turn's ids
        await host.TurnAsync(id, "Three", "Yes");
        Assert.Equal(["user: One", "assistant: Hello", "user: Two", "assistant: No", "user: Three", "assistant: Yes"], await host.MessagesAsync(id));
    }

    [Fact]
    public async Task Functions_and_new_messages_alone_do_not_go_together()
    {
        await using var host = await SessionHost.StartAsync();
        var id = await host.CreateAsync();
        const string tools = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"now\"}}]";
        using (var refused = await host.SendAsync(id, [("user", "One")], $"{{{tools}}}"))
        {
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
            Assert.Contains("Send all messages", await refused.Content.ReadAsStringAsync());
        }
        Assert.Equal("Yes", await host.TurnAsync(id, "One", "Yes", $"{{\"session_mode\":\"replace\",{tools}}}"));
        Assert.Equal(["user: One", "assistant: Yes"], await host.MessagesAsync(id));
    }
}

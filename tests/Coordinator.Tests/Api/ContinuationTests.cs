using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Text.Templates;

namespace LlamaCluster.Coordinator.Tests.Api;

/// <summary>Answers that go on with the last message.</summary>
public sealed class ContinuationTests
{
    /// <summary>Behind each message stands what a message may say, too.</summary>
    const string Source = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }} end of {{ m.role }};{% endfor %}";

    [Theory]
    [InlineData("I am", "<user>I am end of user;<assistant>I am")]
    [InlineData("  I am \n", "<user>I am end of user;<assistant>I am")]
    [InlineData("end of", "<user>I am end of user;<assistant>end of")]
    [InlineData("a", "<user>I am end of user;<assistant>a")]
    [InlineData("", "<user>I am end of user;<assistant>")]
    public async Task A_prompt_ends_with_the_words_of_the_last_message_whatever_stands_elsewhere(string words, string prompt)
    {
        await using var api = await ApiHost.StartAsync(DemoModel.Served with { Template = ChatTemplate.Parse(Source) });
        api.Engine.Play(Answers.Stopped("x"));
        var body = new
        {
            messages = new[] { new { role = "user", content = "I am" }, new { role = "assistant", content = words } },
            continue_final_message = true,
        };
        await api.PostAsync("/v1/chat/completions", System.Text.Json.JsonSerializer.Serialize(body), 200);
        Assert.Equal(prompt, ToolScript.PromptOf(api.Engine.Requests[^1]));
    }

    [Fact]
    public async Task A_template_that_does_not_write_the_words_as_they_are_is_refused()
    {
        await using var api = await ApiHost.StartAsync(
            DemoModel.Served with { Template = ChatTemplate.Parse("{% for m in messages %}{{ m.content[:3] }}{% endfor %}") });
        const string body = """{"messages":[{"role":"assistant","content":"Words"}],"continue_final_message":true}""";
        var error = (await api.PostAsync("/v1/chat/completions", body, 400)).GetProperty("error");
        Assert.Contains("cannot be continued", error.GetProperty("message").GetString());
    }
}

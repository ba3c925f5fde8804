namespace LlamaCluster.Cli.Tests.Chat;

public sealed class ChatLoopTests
{
    [Fact]
    public async Task A_conversation_grows_turn_by_turn()
    {
        await using var api = await StubApi.StartAsync(turn => StubApi.Stream("answer ", $"{turn}"));
        var run = await CommandRun.OfAsync("first\n\nsecond\n", "chat", "--url", api.Url);
        Assert.Equal((0, $"answer 1{Environment.NewLine}answer 2{Environment.NewLine}", ""), (run.ExitCode, run.Output, run.Error));
        Assert.Equal(
            """[{"role":"user","content":"first"},{"role":"assistant","content":"answer 1"},{"role":"user","content":"second"}]""",
            api.Chats[1]["messages"]!.ToJsonString());
        Assert.All(api.Chats, chat => Assert.Equal("stub", chat["model"]!.GetValue<string>()));
    }

    [Fact]
    public async Task Reset_forgets_and_exit_ends()
    {
        await using var api = await StubApi.StartAsync(_ => StubApi.Stream("yes"));
        var run = await CommandRun.OfAsync("first\n/reset\nsecond\n/exit\nthird\n", "chat", "--url", api.Url);
        Assert.Equal(0, run.ExitCode);
        Assert.Equal("""[{"role":"user","content":"second"}]""", api.Chats[1]["messages"]!.ToJsonString());
        Assert.Equal(2, api.Chats.Count);
    }

    [Fact]
    public async Task A_refusal_is_one_line()
    {
        await using var api = await StubApi.StartAsync(_ => """{"error":{"message":"no room"}}""", status: 400);
        var run = await CommandRun.OfAsync("hi\n", "chat", "--url", api.Url);
        Assert.Equal((1, $"error: no room{Environment.NewLine}"), (run.ExitCode, run.Error));
    }

    [Theory]
    [InlineData("data: {\"error\":{\"message\":\"worker lost\"}}\n\n", "worker lost")]
    [InlineData("data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n", "the answer was cut short")]
    public async Task An_answer_that_breaks_off_is_said_to(string answer, string expected)
    {
        await using var api = await StubApi.StartAsync(_ => answer);
        var run = await CommandRun.OfAsync("hi\n", "chat", "--url", api.Url);
        Assert.Equal(1, run.ExitCode);
        Assert.Contains(expected, run.Error);
    }

    [Fact]
    public async Task A_cluster_that_is_not_there_is_one_line()
    {
        var run = await CommandRun.OfAsync("hi\n", "chat", "--url", "http://127.0.0.1:1");
        Assert.Equal(1, run.ExitCode);
        Assert.Contains("http://127.0.0.1:1/ cannot be reached", Assert.Single(run.Error.TrimEnd().Split('\n')));
    }
}

using System.Net;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>`up` as a user runs it: real processes, real model.</summary>
public sealed class UpTests
{
    [Theory]
    [InlineData("INT", 0)]
    [InlineData("TERM", 0)]
    [InlineData("KILL", 137)]
    public async Task It_answers_and_leaves_no_process_behind(string signal, int exitCode)
    {
        await using var cluster = await LocalCluster.StartAsync("--workers", "3");
        var workers = Signals.ChildrenOf(cluster.Process.Id);
        Assert.Equal(3, workers.Count);
        using var answer = await cluster.ChatAsync(""","max_tokens":12""");
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, body);
        Assert.Contains("\"completion_tokens\":12", body);
        await Signals.SendAsync(signal, cluster.Process.Id);
        Assert.Equal(exitCode, await cluster.Process.ExitAsync());
        foreach (var worker in workers) await Signals.AssertGoneAsync(worker);
    }

    [Fact]
    public async Task Told_to_stop_it_lets_running_answers_finish()
    {
        await using var cluster = await LocalCluster.StartAsync();
        using var answer = await cluster.ChatAsync(""","max_tokens":200,"ignore_eos":true,"stream":true""");
        using var body = new StreamReader(await answer.Content.ReadAsStreamAsync());
        Assert.StartsWith("data: ", await body.ReadLineAsync());
        await Signals.SendAsync("TERM", cluster.Process.Id);
        Assert.EndsWith("data: [DONE]\n\n", await body.ReadToEndAsync().WaitAsync(CliProcess.Deadline));
        Assert.Equal(0, await cluster.Process.ExitAsync());
    }

    [Fact]
    public async Task Chat_talks_to_it()
    {
        await using var cluster = await LocalCluster.StartAsync("--workers", "1");
        await using var chat = CliProcess.Start("chat", "--url", cluster.Http.BaseAddress!.ToString());
        await chat.TypeAsync("What is a KV cache?");
        Assert.NotEmpty(await chat.OutputLineAsync());
        chat.CloseInput();
        Assert.Equal(0, await chat.ExitAsync());
    }
}

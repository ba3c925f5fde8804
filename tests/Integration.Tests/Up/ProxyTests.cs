namespace LlamaCluster.Integration.Tests.Up;

/// <summary>A proxy in the environment, behind which nothing is: nothing of a cluster on this machine goes through it.</summary>
public sealed class ProxyTests
{
    static readonly Dictionary<string, string?> Proxy = new()
    {
        ["HTTP_PROXY"] = "http://127.0.0.1:9",
        ["http_proxy"] = "http://127.0.0.1:9",
        ["ALL_PROXY"] = "http://127.0.0.1:9",
        ["NO_PROXY"] = null,
        ["no_proxy"] = null,
    };

    [Fact]
    public async Task Up_and_chat_work_behind_a_proxy_setting()
    {
        await using var cluster = await LocalCluster.StartWithAsync(Proxy, "--workers", "2", "--threads-per-worker", "1");
        await using var chat = CliProcess.StartWith(Proxy, "chat", "--url", cluster.Http.BaseAddress!.ToString());
        await chat.TypeAsync("What is a KV cache?");
        Assert.NotEmpty(await chat.OutputLineAsync());
        chat.CloseInput();
        Assert.Equal(0, await chat.ExitAsync());
    }
}

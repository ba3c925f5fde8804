using System.Net;
using System.Text.Json;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>`up` with stages that several worker processes share.</summary>
public sealed class TensorParallelTests
{
    const string Length = ""","max_tokens":40""";

    [Fact]
    public async Task Any_shape_gives_the_same_text()
    {
        var expected = await TextOfAsync("--workers", "1");
        Assert.NotEmpty(expected);
        Assert.Equal(expected, await TextOfAsync("--workers", "2", "--tensor-parallel", "2"));
        Assert.Equal(expected, await TextOfAsync("--workers", "5", "--tensor-parallel", "2", "--peer-link", "tcp"));
    }

    static async Task<string> TextOfAsync(params string[] options)
    {
        await using var cluster = await LocalCluster.StartAsync(options);
        return await TextOfAsync(cluster);
    }

    static async Task<string> TextOfAsync(LocalCluster cluster)
    {
        using var answer = await cluster.ChatAsync(Length);
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, body);
        using var json = JsonDocument.Parse(body);
        return json.RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
    }
}

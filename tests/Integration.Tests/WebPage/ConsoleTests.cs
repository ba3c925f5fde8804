using System.Text.Json;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Testing.Npm;

namespace LlamaCluster.Integration.Tests.WebPage;

/// <summary>The console in a real browser, before a real cluster of which a worker is killed.</summary>
public sealed class ConsoleTests
{
    const string White = "rgb(246, 247, 249)";
    const string Black = "rgb(14, 17, 22)";

    [BrowserFact]
    public async Task It_shows_the_pipeline_a_loss_and_the_recovery_and_chats_meanwhile()
    {
        await using var cluster = await SpareCluster.StartAsync(workers: 3, wanted: 2, "--tensor-parallel", "1");
        var seen = await NodeScript.RunAsync("console.mjs", $"{cluster.Http.BaseAddress}", $"{cluster.Serving(1).Id}");
        string Text(string name) => seen.GetProperty(name).GetString()!;

        Assert.Empty(Texts(seen.GetProperty("errors")));
        Assert.Empty(Texts(seen.GetProperty("foreign")));
        Assert.Empty(Texts(seen.GetProperty("findings")));
        Assert.Equal(("LlamaCluster", 2), (Text("title"), seen.GetProperty("stages").GetInt32()));
        Assert.Equal("The pipeline: stage 0, layers 0–3: worker-0 serving; stage 1, layers 4–7: worker-1 serving", Text("picture"));
        Assert.StartsWith("llamacluster-demo-5m-q8_0 · 8 layers", Text("model"));

        Assert.Contains("KV cache", Text("answer"));
        Assert.Matches(@"tok/s · \d+ tokens · first after .* · prompt 1\d", Text("facts"));

        Assert.InRange(seen.GetProperty("lostAfter").GetInt32(), 0, 2000);
        Assert.Contains("worker-1", Text("view"));
        Assert.True(seen.GetProperty("wentOn").GetInt32() > 0, "the answer did not go on");
        Assert.StartsWith("6 workers on ", Text("whatIf"));

        var call = seen.GetProperty("call");
        Assert.Equal("I need the <b>weather</b>.", call.GetProperty("thought").GetString());
        Assert.Equal("calls get_weather{\n  \"city\": \"Bern\"\n}", call.GetProperty("call").GetString());
        Assert.Equal("echo <i>snow</i>", call.GetProperty("code").GetString());
        Assert.Contains("prompt 30, 16 cached", call.GetProperty("facts").GetString());
        Assert.Equal(["user", "assistant", "tool"], Texts(call.GetProperty("roles")));
        Assert.Equal(1, call.GetProperty("tools").GetInt32());
        Assert.Equal("""{"role":"tool","tool_call_id":"call_1","content":"snow"}""", call.GetProperty("given").GetRawText());
        Assert.Equal(["whole experts per rank|true", "experts cut by columns|true", "|false"], Texts(seen.GetProperty("experts")));
        Assert.Equal((Black, White), (Text("ground"), Text("switched")));
        foreach (var width in seen.GetProperty("widths").EnumerateObject()) Assert.Equal(width.Name, $"{width.Value}");
    }

    static IEnumerable<string?> Texts(JsonElement list) => list.EnumerateArray().Select(text => text.GetString());
}

using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using LlamaCluster.Integration.Tests.Up;
using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Clients;

/// <summary>What coding agents send by default, to a cluster of a model whose context is as long as they expect. The model's weights do not matter.</summary>
public sealed class AgentTests
{
    const int Context = 32_768;

    /// <summary>Instructions of some 9 kB, as agents send them.</summary>
    static readonly string Instructions = string.Concat(Enumerable.Repeat("You help with code. Read the files, then say what you change and why.\n", 130));

    [Fact]
    public async Task Agents_get_an_answer_with_tools_and_without()
    {
        using var folder = new TempFolder();
        var model = WithLongContext(folder);
        await using var cluster = await LocalCluster.StartAsync("--model", model);

        foreach (var (content, limit) in new[] { ("""[{"type":"text","text":"Fix it."}]""", 8_000), ("\"Fix it.\"", 32_000), ("\"Fix it.\"", 64_000) })
        {
            var body = Conversation(content);
            body["max_tokens"] = limit;
            using var response = await SendAsync(cluster, body);
            Assert.True(response.StatusCode == HttpStatusCode.OK, await ErrorOfAsync(response));
            Assert.Equal(limit > 30_000, response.Headers.Contains("X-LlamaCluster-Adjusted"));
            using var events = new StreamReader(await response.Content.ReadAsStreamAsync());
            Assert.StartsWith("data: {\"id\":", await FirstEventAsync(events).WaitAsync(CliProcess.Deadline));
        }

        var withTools = Conversation("\"Fix the bug.\"");
        withTools["tools"] = JsonNode.Parse("""
            [{"type":"function","function":{"name":"read","description":"Reads a file",
              "parameters":{"type":"object","properties":{"path":{"type":"string"}},"required":["path"]}}}]
            """);
        withTools["tool_choice"] = "auto";
        withTools["max_tokens"] = 16;
        using var answered = await SendAsync(cluster, withTools);
        Assert.True(answered.StatusCode == HttpStatusCode.OK, await ErrorOfAsync(answered));
        Assert.EndsWith("data: [DONE]\n\n", await answered.Content.ReadAsStringAsync());
    }

    static JsonObject Conversation(string content) => new()
    {
        ["messages"] = new JsonArray(
            new JsonObject { ["role"] = "system", ["content"] = Instructions },
            new JsonObject { ["role"] = "user", ["content"] = JsonNode.Parse(content) }),
        ["stream"] = true,
        ["stream_options"] = new JsonObject { ["include_usage"] = true },
    };

    static Task<HttpResponseMessage> SendAsync(LocalCluster cluster, JsonObject body) => cluster.Http.SendAsync(
        new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"),
            Headers = { { "X-Session-Id", "ses_1" }, { "X-Session-Affinity", "ses_1" } },
        },
        HttpCompletionOption.ResponseHeadersRead);

    /// <summary>The first line that is no comment: a prompt of this length takes a slow machine a while.</summary>
    static async Task<string?> FirstEventAsync(StreamReader events)
    {
        while (await events.ReadLineAsync() is { } line)
            if (line.Length > 0 && line[0] != ':') return line;
        return null;
    }

    static async Task<string> ErrorOfAsync(HttpResponseMessage response) => response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync();

    /// <summary>The demo model, said to have a longer context than it was trained for.</summary>
    static string WithLongContext(TempFolder folder)
    {
        foreach (var file in Directory.EnumerateFiles(SharedFiles.Demo("hf"))) File.CreateSymbolicLink(folder.File(Path.GetFileName(file)), file);
        var config = JsonNode.Parse(File.ReadAllText(SharedFiles.Demo(Path.Combine("hf", "config.json"))))!;
        config["max_position_embeddings"] = Context;
        File.Delete(folder.File("config.json"));
        File.WriteAllText(folder.File("config.json"), config.ToJsonString());
        return folder.Path;
    }
}

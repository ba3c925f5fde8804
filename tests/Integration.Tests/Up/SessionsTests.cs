using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Testing;

namespace LlamaCluster.Integration.Tests.Up;

/// <summary>Sessions of a real cluster: they outlive its death, are handled from the terminal, and cost nothing where there are none.</summary>
public sealed class SessionsTests
{
    [Fact]
    public async Task A_cluster_that_is_killed_goes_on_with_its_sessions_when_it_is_back()
    {
        using var data = new TempFolder();
        string id;
        await using (var cluster = await LocalCluster.StartAsync("--workers", "2", "--threads-per-worker", "1", "--data-dir", data.Path))
        {
            id = (string)(await PostAsync(cluster, "/v1/sessions", new JsonObject()))["id"]!;
            await TurnAsync(cluster, id, "What is a KV cache?");
            await Signals.SendAsync("KILL", cluster.Process.Id);
            await cluster.Process.ExitAsync();
        }
        await using var again = await LocalCluster.StartAsync("--workers", "1", "--threads-per-worker", "1", "--data-dir", data.Path);
        var answer = await TurnAsync(again, id, "And a layer?");
        Assert.True((int)answer["usage"]!["prompt_tokens"]! > 40);   // both questions and the first answer

        var url = again.Http.BaseAddress!.ToString();
        Assert.Contains(id, await RunAsync("sessions", "list", "--url", url));
        var shown = await RunAsync("sessions", "show", id, "--url", url);
        Assert.Contains("[user] What is a KV cache?", shown);
        Assert.Contains("[user] And a layer?", shown);
        await RunAsync("sessions", "export", id, "--output", data.File("export.json"), "--url", url);
        var copy = (await RunAsync("sessions", "import", data.File("export.json"), "--url", url)).Trim();
        await RunAsync("sessions", "delete", id, copy, "--url", url);
        var listed = JsonNode.Parse(await RunAsync("sessions", "list", "--json", "--url", url))!;
        Assert.Empty(listed["sessions"]!.AsArray());
        await using var missing = CliProcess.Start("sessions", "show", id, "--url", url);
        Assert.Contains($"There is no session '{id}'", await missing.ErrorLineAsync("error: "));
        Assert.Equal(1, await missing.ExitAsync());
    }

    [Fact]
    public async Task What_sessions_need_is_not_started_without_them_and_is_small_with_them()
    {
        await using var cluster = await LocalCluster.StartAsync("--workers", "1", "--threads-per-worker", "1");
        using (await cluster.ChatAsync(",\"max_tokens\":4")) { }
        Assert.DoesNotContain("Sessions", cluster.Process.Log);
        Assert.DoesNotContain("Orleans.Runtime", await File.ReadAllTextAsync($"/proc/{cluster.Process.Id}/maps"));
        var before = ResidentMegabytes(cluster.Process.Id);
        var id = (string)(await PostAsync(cluster, "/v1/sessions", new JsonObject()))["id"]!;
        await TurnAsync(cluster, id, "Hi");
        Assert.InRange(ResidentMegabytes(cluster.Process.Id) - before, 0, 100);
        Assert.Contains("Sessions are kept in ", cluster.Process.Log);
        Assert.DoesNotContain("warn Orleans", cluster.Process.Log);
    }

    static Task<JsonNode> TurnAsync(LocalCluster cluster, string session, string question) => PostAsync(cluster, "/v1/chat/completions", new JsonObject
    {
        ["session_id"] = session,
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = question }),
        ["temperature"] = 0,
        ["max_tokens"] = 20,
    });

    static async Task<JsonNode> PostAsync(LocalCluster cluster, string path, JsonObject body)
    {
        using var response = await cluster.Http.PostAsJsonAsync(path, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    /// <returns>Its stdout.</returns>
    static async Task<string> RunAsync(params string[] args)
    {
        await using var process = CliProcess.Start(args);
        Assert.True(await process.ExitAsync() == 0, process.Log);
        return process.Log;
    }

    static long ResidentMegabytes(int process)
    {
        var resident = File.ReadLines($"/proc/{process}/status").Single(line => line.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(resident.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
    }
}

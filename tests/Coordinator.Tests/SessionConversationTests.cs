using System.Text.Json;
using LlamaCluster.Coordinator.Tests.Api;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>Sessions over real workers and the demo model: what a turn computes, and that a restart changes nothing.</summary>
public sealed class SessionConversationTests
{
    const int Block = 16;

    static readonly string[] Words = ["tokens", "layers", "weights", "workers", "blocks", "caches", "stages", "prompts", "models", "plans"];

    [Fact]
    public async Task From_the_second_turn_on_only_what_is_new_is_computed_and_one_block()
    {
        // Guesses that turn out right in an answer's last step fill positions that nobody finds again.
        await using var cluster = await RealCluster.StartAsync(2, TestCluster.Options with { Engine = new EngineOptions { Speculate = false } });
        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress, Timeout = WaitExtensions.Deadline };
        var id = (await http.PostJsonAsync("/v1/sessions", "{}")).GetProperty("id").GetString()!;
        List<object> whole = [];
        var known = 0;
        for (var turn = 1; turn <= 20; turn++)
        {
            var question = $"What of {Words[turn % Words.Length]}?";
            whole.Add(new { role = "user", content = question });
            var answer = await AskAsync(http, new { session_id = id, messages = new[] { whole[^1] }, max_tokens = 6, temperature = 0 });
            var usage = answer.GetProperty("usage");
            var prompt = usage.GetProperty("prompt_tokens").GetInt32();
            var cached = usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();
            if (turn > 1) Assert.InRange(prompt - cached, 1, prompt - known + Block);
            known = prompt + usage.GetProperty("completion_tokens").GetInt32();
            whole.Add(new { role = "assistant", content = answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString() });
        }
        Assert.Equal(20, (await http.GetJsonAsync($"/v1/sessions/{id}")).GetProperty("turns").GetInt32());
        var messages = (await http.GetJsonAsync($"/v1/sessions/{id}/export")).GetProperty("messages");
        Assert.Equal(JsonSerializer.Serialize(whole), JsonSerializer.Serialize(messages));
    }

    [Fact]
    public async Task A_restart_of_all_changes_no_answer()
    {
        using var folder = new TempFolder();
        string id, before;
        var asked = new { role = "user", content = "What is a KV cache?" };
        var next = new { role = "user", content = "And a layer?" };
        await using (var cluster = await RealCluster.StartAsync(2, TestCluster.Options with { DataFolder = folder.Path }))
        {
            using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress, Timeout = WaitExtensions.Deadline };
            id = (await http.PostJsonAsync("/v1/sessions", "{}")).GetProperty("id").GetString()!;
            await AskAsync(http, new { session_id = id, messages = new[] { asked }, max_tokens = 20, temperature = 0 });
            var fork = (await http.PostJsonAsync($"/v1/sessions/{id}/fork", "{}")).GetProperty("id").GetString()!;
            before = TextOf(await AskAsync(http, new { session_id = fork, messages = new[] { next }, max_tokens = 20, temperature = 0 }));
            Assert.Equal("replica-0", (await http.GetJsonAsync($"/v1/sessions/{fork}")).GetProperty("kv").GetProperty("replica").GetString());
        }
        await using var again = await RealCluster.StartAsync(1, TestCluster.Options with { DataFolder = folder.Path });
        using var client = new HttpClient { BaseAddress = again.Coordinator.Host.ApiAddress, Timeout = WaitExtensions.Deadline };
        Assert.Equal(before, TextOf(await AskAsync(client, new { session_id = id, messages = new[] { next }, max_tokens = 20, temperature = 0 })));
    }

    static string TextOf(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;

    static Task<JsonElement> AskAsync(HttpClient http, object body) => http.PostJsonAsync("/v1/chat/completions", JsonSerializer.Serialize(body));
}

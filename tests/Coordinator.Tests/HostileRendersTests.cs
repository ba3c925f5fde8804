using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using LlamaCluster.Coordinator.Tests.Api;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Testing;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>Prompts that take all the time they are given to render, beside a real worker whose heartbeats have to be heard.</summary>
public sealed class HostileRendersTests : IDisposable
{
    const string Slow = "{% for i in range(99999) %}{% for j in range(99999) %}{% if i < j %}{% endif %}{% endfor %}{% endfor %}";

    readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Forty_four_of_them_lose_no_worker_and_silence_nothing()
    {
        await using var cluster = await RealCluster.StartAsync(1, TestCluster.Options with
        {
            ModelPath = ModelWith(Slow),
            Deadlines = new ClusterDeadlines
            {
                HeartbeatInterval = TimeSpan.FromMilliseconds(100),
                HeartbeatTimeout = TimeSpan.FromSeconds(10),
                Suspicion = TimeSpan.FromSeconds(8),
            },
        });
        using var http = new HttpClient { BaseAddress = cluster.Coordinator.Host.ApiAddress, Timeout = 2 * ApiHost.Deadline };
        var view = cluster.Coordinator.Host.Status.Value.ViewVersion;
        var hostile = Enumerable.Range(0, 44)
            .Select(_ => PostAsync(http, "/v1/chat/completions", "messages", new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Hi" })))
            .ToList();

        while (!hostile.All(request => request.IsCompleted))
        {
            using var health = await http.GetAsync("/health").Soon();
            using var ready = await http.GetAsync("/ready").Soon();
            Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (health.StatusCode, ready.StatusCode));
            await PostAsync(http, "/v1/completions", "prompt", new JsonArray(5, 6, 7)).Soon();   // answered, or told to come again
        }

        Assert.All(
            await Task.WhenAll(hostile),
            status => Assert.Contains(status, (HttpStatusCode[])[HttpStatusCode.BadRequest, HttpStatusCode.ServiceUnavailable]));
        Assert.Equal(view, cluster.Coordinator.Host.Status.Value.ViewVersion);   // nobody was taken for lost
    }

    static async Task<HttpStatusCode> PostAsync(HttpClient http, string path, string field, JsonNode? value)
    {
        using var content = new StringContent(new JsonObject { [field] = value, ["max_tokens"] = 2 }.ToJsonString(), null, "application/json");
        using var answer = await http.PostAsync(path, content);
        return answer.StatusCode;
    }

    string ModelWith(string template)
    {
        foreach (var file in Directory.GetFiles(SharedFiles.Demo("hf"))) File.Copy(file, _folder.File(Path.GetFileName(file)));
        var config = _folder.File("tokenizer_config.json");
        var settings = JsonNode.Parse(File.ReadAllText(config))!;
        settings["chat_template"] = template;
        File.WriteAllText(config, settings.ToJsonString(new JsonSerializerOptions()));
        return _folder.Path;
    }
}

using System.Text.Json;
using LlamaCluster.Coordinator.Tests.Api;
using LlamaCluster.Coordinator.Tests.Fakes;
using LlamaCluster.Coordinator.Weights;
using LlamaCluster.Model.Formats.Paths;
using LlamaCluster.Testing;
using LlamaCluster.Testing.Models;
using Microsoft.Extensions.DependencyInjection;

namespace LlamaCluster.Coordinator.Tests;

/// <summary>
/// Conversations that the cluster keeps, with an adapter that has a vocabulary of its own, on real workers: the texts are those of requests without a session.
/// </summary>
public sealed class AdapterSessionTests : IDisposable
{
    const int Own = WideDemoAdapter.FirstOwn;
    const int Context = 256;

    readonly TempFolder _folder = new();
    readonly CoordinatorOptions _options;

    public AdapterSessionTests()
    {
        using var model = ModelFiles.Open(TestCluster.Options.ModelPath);
        _options = TestCluster.Options with
        {
            ContextLength = Context,
            DataFolder = _folder.File("data"),
            Adapters = new AdapterOptions
            {
                Adapters =
                [
                    ("wide", WideDemoAdapter.Write(_folder.File("wide"), model.Config)),
                    ("narrow", new SyntheticAdapter(model.Config) { Seed = 3, Rank = 2 }.WriteGguf(_folder.File("narrow.gguf"))),
                ],
            },
        };
    }

    [Fact]
    public async Task A_session_is_kept_in_the_adapters_tokens_forked_imported_and_there_after_a_restart()
    {
        string wide, fork;
        JsonElement answer;
        await using (var cluster = await RealCluster.StartAsync(2, _options))
        {
            using var http = Client(cluster);
            wide = DigestOf(cluster, "wide");
            var id = await CreateAsync(http, new { });
            // What it answers is made of the adapter's own words.
            var bias = new Dictionary<string, int> { [$"{Own + 3}"] = 100 };
            var first = await TurnAsync(http, id, "wide", "A zyxw5 is what?", bias);
            Assert.Equal("zyxw3zyxw3zyxw3zyxw3", TextOf(first));
            var exported = await http.GetJsonAsync($"/v1/sessions/{id}/export");
            Assert.Contains(Own + 5, IdsOf(exported));
            Assert.Equal(Enumerable.Repeat(Own + 3, 4), IdsOf(exported)[^4..]);
            Assert.Equal(wide, exported.GetProperty("model_digest").GetString());
            fork = (await PostAsync(http, $"/v1/sessions/{id}/fork", new { turns = 1 })).GetProperty("id").GetString()!;
            var imported = (await PostAsync(http, "/v1/sessions/import", exported)).GetProperty("id").GetString()!;
            Assert.Equal(IdsOf(exported), IdsOf(await http.GetJsonAsync($"/v1/sessions/{imported}/export")));

            answer = await TurnAsync(http, id, "wide", "And a layer?");
            await AssertWithoutSessionAsync(http, id, "wide", answer);
            Assert.InRange(CachedOf(answer), IdsOf(exported).Length / 16 * 16, PromptOf(answer));
            Assert.Equal(TextOf(answer), TextOf(await TurnAsync(http, imported, "wide", "And a layer?")));

            // The same question again, in the place of all that was stored.
            object[] messages =
            [
                new { role = "user", content = "A zyxw5 is what?" },
                new { role = "assistant", content = TextOf(first) },
                new { role = "user", content = "And a layer?" },
            ];
            var again = await PostAsync(
                http, "/v1/chat/completions", new { model = "wide", session_id = id, session_mode = "replace", messages, max_tokens = 4, temperature = 0 });
            Assert.Equal(TextOf(answer), TextOf(again));
            await AssertWithoutSessionAsync(http, id, "wide", again);
        }
        await using var later = await RealCluster.StartAsync(1, _options);
        using var client = Client(later);
        Assert.Equal(TextOf(answer), TextOf(await TurnAsync(client, fork, "wide", "And a layer?")));
        Assert.Equal(wide, (await client.GetJsonAsync($"/v1/sessions/{fork}")).GetProperty("model_digest").GetString());
    }

    [Fact]
    public async Task Where_the_tokens_change_the_messages_are_tokenised_anew_and_where_they_do_not_the_ids_are_kept()
    {
        await using var cluster = await RealCluster.StartAsync(1, _options);
        using var http = Client(cluster);
        var model = cluster.Coordinator.Host.Model.Name;
        var id = await CreateAsync(http, new { messages = new[] { new { role = "system", content = "Speak of zyxw2." } } });
        var before = Array.Empty<int>();
        foreach (var (name, keepsIds) in new[]
        {
            ("wide", false), (model, false), ("narrow", true), (model, true), ("wide", false), ("wide", true), ("narrow", false),
        })
        {
            var stored = (await http.GetJsonAsync($"/v1/sessions/{id}/export")).GetProperty("messages");
            var messages = stored.EnumerateArray().Select(message => (object)message).ToList();
            var answer = await TurnAsync(http, id, name, "And zyxw6?");
            await AssertWithoutSessionAsync(http, id, name, answer);
            var exported = await http.GetJsonAsync($"/v1/sessions/{id}/export");
            var ids = IdsOf(exported);
            Assert.Equal(keepsIds, before.Length > 0 && ids.AsSpan().StartsWith(before));
            Assert.Equal(name == "wide", ids.Any(token => token >= Own));
            Assert.Equal(name == "wide" ? DigestOf(cluster, "wide") : cluster.Coordinator.Host.Model.Digest, exported.GetProperty("model_digest").GetString());
            if (!keepsIds)
            {
                // The very prompt of a client that sends all of it.
                messages.Add(new { role = "user", content = "And zyxw6?" });
                var whole = await PostAsync(http, "/v1/chat/completions", new { model = name, messages, max_tokens = 4, temperature = 0 });
                Assert.Equal((PromptOf(whole), TextOf(whole)), (PromptOf(answer), TextOf(answer)));
            }
            before = ids;
        }
    }

    [Fact]
    public async Task A_context_that_is_full_drops_the_oldest_turns()
    {
        await using var cluster = await RealCluster.StartAsync(1, _options);
        using var http = Client(cluster);
        var id = await CreateAsync(http, new
        {
            messages = Enumerable.Range(0, 40)
                .Select(i => new { role = i % 2 == 0 ? "user" : "assistant", content = $"What zyxw{i % 8} is, and what it is not." })
                .ToArray(),
        });
        var (answer, dropped) = await SendAsync(http, "/v1/chat/completions", new
        {
            model = "wide",
            session_id = id,
            truncation = "auto",
            messages = new[] { new { role = "user", content = "And zyxw6?" } },
            max_tokens = 4,
            temperature = 0,
        });
        Assert.InRange(int.Parse(dropped!), 2, 38);
        await AssertWithoutSessionAsync(http, id, "wide", answer);
    }

    [Fact]
    public async Task A_stored_response_is_gone_on_from_in_the_adapters_tokens()
    {
        await using var cluster = await RealCluster.StartAsync(1, _options);
        using var http = Client(cluster);
        // A session keeps the same ids.
        var id = await CreateAsync(http, new { });
        var model = cluster.Coordinator.Host.Model.Name;
        string? previous = null;
        foreach (var (name, question) in new[] { ("wide", "What is a zyxw5?"), ("wide", "And zyxw6?"), (model, "And a layer?"), ("wide", "And a zyxw0?") })
        {
            var turn = await TurnAsync(http, id, name, question);
            var response = await PostAsync(
                http, "/v1/responses", new { model = name, input = question, previous_response_id = previous, max_output_tokens = 4, temperature = 0 });
            previous = response.GetProperty("id").GetString();
            Assert.Equal(name, response.GetProperty("model").GetString());
            var message = response.GetProperty("output").EnumerateArray().Single(item => item.GetProperty("type").GetString() == "message");
            Assert.Equal(TextOf(turn), message.GetProperty("content")[0].GetProperty("text").GetString());
            Assert.Equal(PromptOf(turn), response.GetProperty("usage").GetProperty("input_tokens").GetInt32());
        }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>The ids of the last turn's prompt, without any session, give its answer.</summary>
    static async Task AssertWithoutSessionAsync(HttpClient http, string id, string name, JsonElement answer)
    {
        var ids = IdsOf(await http.GetJsonAsync($"/v1/sessions/{id}/export"));
        var plain = await PostAsync(http, "/v1/completions", new { model = name, prompt = ids[..PromptOf(answer)], max_tokens = 4, temperature = 0 });
        Assert.Equal(TextOf(answer).Trim(), plain.GetProperty("choices")[0].GetProperty("text").GetString()!.Trim());
    }

    static HttpClient Client(RealCluster cluster) => new() { BaseAddress = cluster.Coordinator.Host.ApiAddress, Timeout = WaitExtensions.Deadline };

    static string DigestOf(RealCluster cluster, string name) =>
        cluster.Coordinator.Host.Services.GetRequiredService<AdapterRegistry>().Find(name)!.Digest;

    static string TextOf(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;

    static int PromptOf(JsonElement answer) => answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32();

    static int CachedOf(JsonElement answer) => answer.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();

    static int[] IdsOf(JsonElement exported) => [.. exported.GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32())];

    static async Task<string> CreateAsync(HttpClient http, object body) => (await PostAsync(http, "/v1/sessions", body)).GetProperty("id").GetString()!;

    static Task<JsonElement> TurnAsync(HttpClient http, string id, string name, string question, Dictionary<string, int>? bias = null) =>
        PostAsync(http, "/v1/chat/completions", new
        {
            model = name,
            session_id = id,
            messages = new[] { new { role = "user", content = question } },
            max_tokens = 4,
            temperature = 0,
            logit_bias = bias ?? [],
        });

    static async Task<JsonElement> PostAsync(HttpClient http, string path, object body) => (await SendAsync(http, path, body)).Answer;

    static async Task<(JsonElement Answer, string? Dropped)> SendAsync(HttpClient http, string path, object body)
    {
        using var response = await http.PostAsync(path, ApiHost.JsonContent(JsonSerializer.Serialize(body)));
        return (await response.ReadJsonAsync(), response.Headers.TryGetValues("X-Session-Dropped", out var dropped) ? dropped.Single() : null);
    }
}
